"""The constraint `forbid`: texts that never come."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from seqgen.decoders.constraint import constraints
from seqgen.decoders.past import Past, PastConstraint


@constraints.register("forbid")
class Forbidden(PastConstraint):
    """None of `texts` ever comes: the last of its tokens is impossible where the others stand.

    The other scores stay as they are. A text is what the tokenizer makes of it: where it can be
    cut into tokens in other ways, those stay possible. The prompt is not looked at.
    """

    def __init__(self, texts: tuple[str, ...], encode: Callable[[str], list[int]]) -> None:
        self.banned = [tuple(encode(text)) for text in texts]
        for text, tokens in zip(texts, self.banned, strict=True):
            if not tokens:
                raise ValueError(f"`texts` must have tokens, but {text!r} has none")

    def change(self, log_probs: Tensor, past: Past, ends: Sequence[int]) -> Tensor:
        """-inf at the last token of each text whose other tokens are the last ones now."""
        changed = log_probs.clone()
        for *before, token in self.banned:
            wanted = torch.tensor(before, dtype=torch.long, device=log_probs.device)
            begun = (past.last(len(before)) == wanted).all(-1)
            changed[:, token] = changed[:, token].masked_fill(begun, float("-inf"))
        return changed
