"""Buckets: which rows make each training batch, so that rows of about one length come together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]


class Buckets:
    """Batches of rows of about the same length, a pure function of the seed and the step.

    `lengths` has for each row what it is sorted by, such as its source's length and its target's.
    Rows that are equal in that come in an order drawn for each epoch. The sorted rows are cut into
    batches of `batch_size`; where `batch_tokens` is given instead into batches of at most so many
    tokens, padding and all sides included (a longer row is a batch of its own). A batch ends
    before that, but not in its first half, where the first of the lengths changes: rows of the
    same source length are faster. The order of the batches is drawn for each epoch, too.
    """

    def __init__(
        self,
        lengths: Sequence[tuple[int, ...]],
        batch_size: int,
        batch_tokens: int | None = None,
        seed: int = 0,
    ) -> None:
        if not len(lengths):
            raise ValueError("`lengths` must be of at least one row")
        self._lengths = np.array(lengths, dtype=np.int64)
        self._seed = seed
        self._cuts = _cuts(self._lengths[self._drawn(0)[0]], batch_size, batch_tokens)
        self.steps_per_epoch = len(self._cuts) - 1
        self._epoch = -1

    def rows(self, step: int) -> Rows:
        """The numbers of the rows of training step `step >= 0`."""
        epoch, index = divmod(step, self.steps_per_epoch)
        if self._epoch != epoch:
            self._order, generator = self._drawn(epoch)
            self._batches = generator.permutation(self.steps_per_epoch)
            self._epoch = epoch
        batch = self._batches[index]
        return self._order[self._cuts[batch] : self._cuts[batch + 1]]

    def _drawn(self, epoch: int) -> tuple[Rows, np.random.Generator]:
        """The rows by their lengths, equal ones shuffled, and what draws on from there."""
        generator = np.random.default_rng([self._seed, epoch])
        shuffled = generator.permutation(len(self._lengths))
        # lexsort is stable and takes the key that matters most last.
        return shuffled[np.lexsort(self._lengths[shuffled].T[::-1])], generator


def _cuts(lengths: Rows, batch_size: int, batch_tokens: int | None) -> list[int]:
    """Where batches begin, and the end of the last one. `lengths` are sorted."""
    changes = np.flatnonzero(lengths[1:, 0] != lengths[:-1, 0]) + 1
    borders = np.concatenate([[0], changes, [len(lengths)]])
    cuts = [0]
    while cuts[-1] < len(lengths):
        begin = cuts[-1]
        most = batch_size if batch_tokens is None else _fitting(lengths, begin, batch_tokens)
        end = min(begin + most, len(lengths))
        border = int(borders[np.searchsorted(borders, end, side="right") - 1])
        cuts.append(border if 2 * (border - begin) >= most else end)
    return cuts


def _fitting(lengths: Rows, begin: int, batch_tokens: int) -> int:
    """How many rows from `begin` on have, padded, at most so many tokens; 1 at least."""
    most = batch_tokens // max(1, int(lengths[begin].sum())) + 1
    longest = np.maximum.accumulate(lengths[begin : begin + most]).sum(axis=1)
    padded = longest * np.arange(1, len(longest) + 1)
    return max(1, int(np.searchsorted(padded, batch_tokens, side="right")))
