"""Training batches and held-out parts of data that is made of rows, each row a whole."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
from torch import Tensor

from seqgen.data.base import Batch, Example, Split, TextSize, Training
from seqgen.data.buckets import Buckets
from seqgen.state import State
from seqgen.tokenizers.base import UNK
from seqgen.tokenizers.facts import Counts, count_ids

B = TypeVar("B", bound=Batch)
R = TypeVar("R")


@dataclass(frozen=True)
class EncodedRows(Generic[B]):
    """The rows of a part as tokens, and how batches are made of them.

    `lengths` is what each row is sorted by, `collate` makes the batch of some rows by their
    numbers, and `size` is that of the target texts. `tokens` has for each role one tensor for each
    row; those of `output_role` are the targets, EOS included.
    """

    lengths: Sequence[tuple[int, ...]]
    collate: Callable[[Sequence[int]], B]
    tokens: Mapping[str, Sequence[Tensor]]
    output_role: str
    size: TextSize

    def counts(self) -> dict[str, Counts]:
        """For each role how often each id stands in its tokens."""
        return {role: _counted(rows) for role, rows in self.tokens.items()}


class RowTraining(Training[B]):
    """The batches of `buckets`, made of `rows`.

    `draw(epoch)` gives an epoch its own tokens for the same rows, a function of the epoch alone
    (see `Tokenizer.sample`); without it all epochs read `rows`. Batches keep to the lengths of
    `rows`. Only the epoch that is read is kept.
    """

    def __init__(
        self,
        rows: EncodedRows[B],
        buckets: Buckets,
        draw: Callable[[int], EncodedRows[B]] | None = None,
    ) -> None:
        self.tokens = sum(len(row) for row in rows.tokens[rows.output_role])
        self.size = rows.size
        self.steps_per_epoch = buckets.steps_per_epoch
        self.longest = max(first for first, *_ in rows.lengths)
        self._first, self._latest = rows, (0, rows)
        self._buckets = buckets
        self._draw = draw

    def batch(self, step: int) -> B:
        """The rows that the buckets name for `step`."""
        rows = self._rows(step // self.steps_per_epoch)
        return rows.collate(self._buckets.rows(step).tolist())

    def counts(self) -> dict[str, Counts]:
        """Of each role, with the EOS of what is predicted."""
        return self._first.counts()

    def _rows(self, epoch: int) -> EncodedRows[B]:
        if self._draw is None or epoch == 0:
            return self._first
        if self._latest[0] != epoch:
            self._latest = (epoch, self._draw(epoch))
        return self._latest[1]


class RowSplit(Split[B]):
    """Held-out rows, each of them read once, from the initial state."""

    def __init__(self, rows: EncodedRows[B], examples: Sequence[Example]) -> None:
        targets = rows.tokens[rows.output_role]
        self.tokens = sum(len(row) for row in targets)
        self.unknown = sum(int((row == UNK).sum()) for row in targets)
        self.size = rows.size
        self.examples = examples
        self._rows = rows

    def walk(
        self,
        visit: Callable[[B, State], tuple[R, State]],
        initial_state: Callable[[int], State],
        batch_size: int,
    ) -> list[R]:
        """Rows of about one length together, for little padding; no state: each row is a whole."""
        lengths = self._rows.lengths
        order = sorted(range(len(lengths)), key=lengths.__getitem__)
        chunks = (order[i : i + batch_size] for i in range(0, len(order), batch_size))
        return [visit(self._rows.collate(chunk), None)[0] for chunk in chunks]


def text_size(texts: Sequence[str]) -> TextSize:
    """The size of some texts together."""
    return TextSize(sum(map(len, texts)), sum(len(text.encode()) for text in texts))


def _counted(rows: Sequence[Tensor]) -> Counts:
    return count_ids(torch.cat([*rows, torch.zeros(0, dtype=torch.long)]).numpy())
