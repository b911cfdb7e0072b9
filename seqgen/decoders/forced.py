"""The decoder that follows given sequences, so that what it finds are their scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import final

from torch import Tensor

from seqgen.decoders.path import PathDecoder


@final
class Forced(PathDecoder):
    """Takes the tokens that it is given: `sequences`, by the numbers of the starts.

    A sequence must have as many tokens as its source's limit. It is no strategy to be named in a
    recipe, but the way to ask any stepper how probable a sequence is to it.
    """

    draws = False

    def __init__(self, sequences: Mapping[int, Sequence[int]]) -> None:
        self.sequences = sequences

    def choose(self, log_probs: Tensor, numbers: Tensor, moment: int) -> Tensor:
        """The token that is next, `[rows]`."""
        return numbers.new_tensor([self.sequences[each][moment] for each in numbers.tolist()])
