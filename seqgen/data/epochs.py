"""The stream that each epoch of training reads: always the same, or other pieces of one text."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


class Epochs:
    """A stream for each epoch, all of the length of the first.

    `draw(epoch)` gives the tokens of an epoch, a function of the epoch alone; without it all
    epochs read `first`. An epoch that has more tokens than the first loses its last ones, one that
    has fewer begins again. Only the epoch that is read is kept.
    """

    def __init__(self, first: Tensor, draw: Callable[[int], Tensor] | None = None) -> None:
        self.first = first
        self._draw = draw
        self._latest = (0, first)

    def stream(self, epoch: int) -> Tensor:
        """The tokens of `epoch`, as many as `first` has."""
        if self._draw is None:
            return self.first
        if self._latest[0] != epoch:
            self._latest = (epoch, _fitted(self._draw(epoch), len(self.first)))
        return self._latest[1]


def _fitted(stream: Tensor, size: int) -> Tensor:
    repeats = -(-size // len(stream))
    return torch.cat([stream] * repeats)[:size] if repeats > 1 else stream[:size]
