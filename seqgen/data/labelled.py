"""The data kind `labelled`: a text on each line, and the class that it belongs to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor

from seqgen.data.base import data
from seqgen.data.batches import Sources
from seqgen.data.pair_rows import PairRow
from seqgen.data.paired_rows import PairedRows
from seqgen.tokenizers.base import Tokenizers


@data.register("labelled")
@dataclass(eq=False)
class LabelledData(PairedRows):
    """A text and its class on each line, a tab between; `path` is a directory or one file.

    The text is the source, the class the target, which is one token. A text that is there with
    several classes is right with any of them.
    """

    usual_tokenizers = MappingProxyType({"features": "whole", "target": "whole"})
    ends = False

    def target_tokens(self, text: str, tokenizers: Tokenizers, seed: int | None = None) -> Tensor:
        """The one token of a class; ValueError where its tokenizer makes none or several of it."""
        tokens = torch.from_numpy(tokenizers["target"].encode(text))
        if len(tokens) != 1:
            raise ValueError(f"a class must be one token, but {text!r} is {len(tokens)}")
        return tokens

    def unknown_targets(self, rows: Sequence[PairRow]) -> str:
        """The classes."""
        classes = sorted({row.target for row in rows})
        more = ", ..." if len(classes) > 5 else ""
        return f"with a class that training does not have: {', '.join(classes[:5])}{more}"

    def output_lengths(self, batch: Sources) -> Tensor:
        """One token for each text."""
        return torch.ones_like(batch.lengths)
