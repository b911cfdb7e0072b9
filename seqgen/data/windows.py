"""Training batches cut out of one long stream, each a pure function of its step."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from seqgen.data.base import TextSize, Training
from seqgen.data.batches import TokenBatch
from seqgen.data.epochs import Epochs
from seqgen.tokenizers.facts import Counts, count_ids


class Window(NamedTuple):
    """The size of a batch: `rows` of `length` tokens."""

    rows: int
    length: int


class Lanes(Training[TokenBatch]):
    """`rows` lanes side by side, read window by window with the state carried.

    With 2 lanes and a window of 3, the stream a b c d e f g h i j k l m n o is read as
    `[abc, ghi]` to predict `[bcd, hij]`, then `[def, jkl]` to predict `[efg, klm]`. Each epoch
    after the first begins at another offset, drawn from the seed, so that windows do not always
    end at the same places; n and o leave room for the largest.
    """

    def __init__(self, epochs: Epochs, size: TextSize, window: Window, seed: int) -> None:
        self.tokens = len(epochs.first) - 1
        self.size = size
        self._epochs = epochs
        self._rows, self._window = rows, length = window
        self._seed = seed
        # Every epoch has as many steps: lanes leave room for the largest offset, window - 1.
        self._length = (self.tokens - (length - 1)) // rows
        self.steps_per_epoch = -(-self._length // length)

    def batch(self, step: int) -> TokenBatch:
        """Window `step % steps_per_epoch` of all lanes; the state is carried within an epoch."""
        epoch, index = divmod(step, self.steps_per_epoch)
        first = self._offset(epoch)
        size = self._rows * self._length
        stream = self._epochs.stream(epoch)
        inputs = stream[first : first + size].view(self._rows, self._length)
        targets = stream[first + 1 : first + 1 + size].view(self._rows, self._length)
        here = slice(index * self._window, (index + 1) * self._window)
        return TokenBatch(inputs[:, here], targets[:, here], None, continues=index > 0)

    def counts(self) -> dict[str, Counts]:
        """Of `text`."""
        return {"text": _counted(self._epochs.first)}

    def _offset(self, epoch: int) -> int:
        if epoch == 0:
            return 0
        return int(np.random.default_rng([self._seed, epoch]).integers(self._window))


class RandomWindows(Training[TokenBatch]):
    """`rows` windows anywhere in the stream, each read from the initial state."""

    def __init__(self, epochs: Epochs, size: TextSize, window: Window, seed: int) -> None:
        self.tokens = len(epochs.first) - 1
        self.size = size
        self.steps_per_epoch = -(-self.tokens // (window.rows * window.length))
        self._epochs = epochs
        self._rows = window.rows
        self._seed = seed
        self._window = torch.arange(window.length)

    def batch(self, step: int) -> TokenBatch:
        """Windows drawn from the seed and the step alone."""
        last = self.tokens - len(self._window)
        starts = np.random.default_rng([self._seed, step]).integers(last + 1, size=(self._rows, 1))
        places = torch.from_numpy(starts) + self._window
        stream = self._epochs.stream(step // self.steps_per_epoch)
        return TokenBatch(stream[places], stream[places + 1])

    def counts(self) -> dict[str, Counts]:
        """Of `text`."""
        return {"text": _counted(self._epochs.first)}


def _counted(stream: Tensor) -> Counts:
    """How often each id stands in `stream`, the BOS before it apart."""
    return count_ids(stream[1:].numpy())
