"""The decoder `greedy`: always the most probable next token."""

from __future__ import annotations

from torch import Tensor

from seqgen.decoders.base import decoders
from seqgen.decoders.path import PathDecoder


@decoders.register("greedy")
class Greedy(PathDecoder):
    """The token with the highest probability at each step; of equals, the lowest id."""

    draws = False

    def choose(self, log_probs: Tensor, numbers: Tensor, moment: int) -> Tensor:
        """`argmax p(token)`, `[rows]`."""
        return log_probs.argmax(-1)
