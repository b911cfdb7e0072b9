"""The data kind `pairs`: a source on each line, and the target that is to be made of it."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor

from seqgen.data.base import data
from seqgen.data.padding import ended
from seqgen.data.paired_rows import PairedRows
from seqgen.options import Size
from seqgen.tokenizers.base import Tokenizers


@data.register("pairs")
@dataclass(eq=False)
class PairsData(PairedRows):
    """A source and a target on each line, a tab between; `path` is a directory or one file.

    One source may have several right targets, each on a line of its own: training reads each of
    them, an answer is right if it equals any. Training leaves out rows whose target has more than
    `max_target_length` tokens, as it does for `max_source_length`.
    """

    max_target_length: Size | None = None

    usual_tokenizers = MappingProxyType({"features": "whole"})
    ends = True

    def target_tokens(self, text: str, tokenizers: Tokenizers, seed: int | None = None) -> Tensor:
        """The tokens of the text, then EOS."""
        tokenizer = tokenizers["target"]
        tokens = tokenizer.encode(text) if seed is None else tokenizer.sample(text, seed)
        return ended(torch.from_numpy(tokens))

    def target_limit(self) -> int | None:
        """`max_target_length`."""
        return self.max_target_length
