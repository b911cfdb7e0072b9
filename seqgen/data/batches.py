"""Batches: rows padded to one length for models, and which rows a step reads."""

from __future__ import annotations

from abc import ABC
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from itertools import chain
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from seqgen.data.base import Batch, Example, Split, TextSize, Training, Visit
from seqgen.data.flat_rows import FlatRows
from seqgen.registry import Renamed
from seqgen.state import State, map_state, real, share
from seqgen.tokenizers import BOS, EOS, PAD, UNK, Counts, count_ids

Rows = NDArray[np.int64]
Column = Sequence[Any] | FlatRows
Columns = Mapping[str, Any]
"""A Column of rows as tensors, by what they are of: those of each field, and what batches need
besides."""

T = TypeVar("T", bound="_OnDevice")
P = TypeVar("P", bound="_Predicted")
E = TypeVar("E")
B = TypeVar("B", bound=Batch)
R = TypeVar("R")


def padded(rows: Sequence[Tensor] | FlatRows, least: int = 0) -> tuple[Tensor, Tensor]:
    """Rows of tokens as `[batch, time]`, padded with PAD, and `lengths: [batch]`.

    Without any token `time` is `least`.
    """
    if isinstance(rows, FlatRows):
        return rows.padded(least)
    lengths = torch.tensor([len(row) for row in rows], dtype=torch.long)
    if not any(map(len, rows)):
        return lengths.new_full((len(rows), least), PAD), lengths
    return pad_sequence(list(rows), batch_first=True, padding_value=PAD), lengths


def append_eos(tokens: Tensor) -> Tensor:
    """`tokens: [time]`, then EOS."""
    return torch.cat([tokens, tokens.new_tensor([EOS])])


def shift_right(rows: Sequence[Tensor] | FlatRows) -> Tensor:
    """What is read to predict `rows`: BOS, then each row without its last token, `[batch, time]`,
    padded like the rows themselves."""
    targets, lengths = padded(rows)
    before = torch.cat([torch.full_like(targets[:, :1], BOS), targets[:, :-1]], dim=1)
    return before.masked_fill(~real(lengths, targets.shape[1]), PAD)


def _takes_numbers(kind: type[T]) -> type[T]:
    """A batch whose constructor also takes `row_ids` by its former name, with a warning."""
    create: Callable[..., None] = kind.__init__

    def renaming(self: T, *values: Any, **named: Any) -> None:
        if "numbers" in named:
            vars(kind)["numbers"].warn(kind)
            named["row_ids"] = named.pop("numbers")
        create(self, *values, **named)

    kind.__init__ = renaming  # type: ignore[assignment, method-assign]
    return kind


class _OnDevice(ABC):  # noqa: B024
    """A frozen dataclass of tensors, of other such dataclasses, and of plain values."""

    @property
    def on_host(self: T) -> T:
        """What this was moved from, for Python to look at: values on a GPU make it wait. Itself
        where it was not moved."""
        origin: T = vars(self).get("_origin", self)
        return origin

    def to(self: T, device: Any, floats: torch.dtype | None = None) -> T:
        """The same batch on `device`; floating-point numbers as `floats`.

        A GPU gets it from page-locked memory, so that nobody waits for the copy.
        """
        away = torch.device(device).type != "cpu"
        pinning = torch.device(device).type == "cuda"

        def moved(value: Any) -> Any:
            if isinstance(value, Tensor):
                pinned = value.pin_memory() if pinning and not value.is_cuda else value
                kind = floats if value.is_floating_point() else None
                return pinned.to(device, kind, non_blocking=away)
            if isinstance(value, tuple):
                return map_state(moved, value)
            return value.to(device, floats) if isinstance(value, _OnDevice) else value

        there = self._mapped(moved)
        vars(there)["_origin"] = self.on_host
        return there

    def _rows(self: T, here: slice) -> T:
        def taken(value: Any) -> Any:
            if isinstance(value, Tensor):
                return value[here]
            return value._rows(here) if isinstance(value, _OnDevice) else value

        return self._mapped(taken)

    def _mapped(self: T, change: Callable[[Any], Any]) -> T:
        names = [each.name for each in fields(self)]  # type: ignore[arg-type]
        return type(self)(**{name: change(getattr(self, name)) for name in names})


class _Predicted(_OnDevice, ABC):
    """Rows with `targets: [batch, time]`, of which `lengths: [batch]` are real (None: all)."""

    targets: Any
    lengths: Any

    @cached_property
    def tokens(self) -> int:
        """The number of real targets."""
        return self.targets.numel() if self.lengths is None else int(self.lengths.sum())

    def to(self: P, device: Any, floats: torch.dtype | None = None) -> P:
        moved = super().to(device, floats)
        vars(moved)["tokens"] = self.tokens  # counted here: nobody waits until a GPU has done it
        return moved

    def cut(self: P, count: int) -> list[P]:
        rows = len(self.targets)
        count = min(count, rows)
        return [self._rows(share(rows, index, count)) for index in range(count)]


@_takes_numbers
@dataclass(frozen=True)
class TokenBatch(_Predicted):
    """Tokens to read and the tokens to predict from them.

    `inputs` and `targets: [batch, time]`; `lengths: [batch]` says how much of each row is real
    (None: all). `continues`: the rows go on where the last batch's rows ended, so the recurrent
    state is carried over. `row_ids: [batch]` are the places of the rows in the part that they were
    taken from, if it has rows.
    """

    inputs: Tensor
    targets: Tensor
    lengths: Tensor | None = None
    continues: bool = False
    row_ids: Tensor | None = None

    numbers = Renamed("row_ids")


@dataclass(frozen=True)
class Prompts(_OnDevice):
    """What generation starts from: `tokens: [batch, time]`, each row `lengths[i] >= 1` long, read
    from `state`, or from the model's initial state if it is None."""

    tokens: Tensor
    lengths: Tensor
    state: State = None


@dataclass(frozen=True)
class Sources(_OnDevice):
    """What an encoder reads.

    `values` are tokens `[batch, source_time]` with `lengths: [batch]` of them real, or vectors
    `[batch, size]` of floats, whose lengths are all 1. Where tokens are words, `letters: [batch,
    source_time, letter_time]` may spell each of them, `letter_lengths: [batch, source_time]` long.
    """

    values: Tensor
    lengths: Tensor
    letters: Tensor | None = None
    letter_lengths: Tensor | None = None


@_takes_numbers
@dataclass(frozen=True)
class PairBatch(_Predicted):
    """Sources, and the targets that belong to them.

    `targets: [batch, time]` with `lengths: [batch]` of them real. For sequences that end by
    themselves the last real one is EOS; `inputs` are BOS and the targets without the last one.
    `row_ids: [batch]` are the places of the rows in the part that they were taken from.
    """

    sources: Sources
    inputs: Tensor
    targets: Tensor
    lengths: Tensor
    row_ids: Tensor

    numbers = Renamed("row_ids")

    continues: ClassVar[bool] = False  # each row is a whole


class Buckets:
    """Batches of rows of about the same length, a pure function of the seed and the step.

    `lengths` has for each row what it is sorted by, such as its source's length and its target's.
    Rows that are equal in that come in an order drawn for each epoch. The sorted rows are cut into
    batches of `batch_size`, or, if `batch_tokens` is given, of at most so many tokens, padding and
    all sides included (a longer row is a batch of its own). A batch ends earlier, but not in its
    first half, where the first of the lengths changes: rows of the same source length are faster.
    The order of the batches is drawn for each epoch, too.
    """

    def __init__(
        self,
        lengths: Sequence[tuple[int, ...]] | Rows,
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
        """The places of the rows of training step `step >= 0`."""
        epoch, index = divmod(step, self.steps_per_epoch)
        if self._epoch != epoch:
            self._order, generator = self._drawn(epoch)
            self._batches = generator.permutation(self.steps_per_epoch)
            self._epoch = epoch
        batch = self._batches[index]
        return self._order[self._cuts[batch] : self._cuts[batch + 1]]

    def _drawn(self, epoch: int) -> tuple[Rows, np.random.Generator]:
        """The rows by their lengths, equal ones shuffled, and the generator for what follows."""
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
    sizes = longest * np.arange(1, len(longest) + 1)
    return max(1, int(np.searchsorted(sizes, batch_tokens, side="right")))


@dataclass(frozen=True)
class EncodedRows(Generic[B]):
    """The rows of a part as tensors, and how batches are made of them.

    `lengths` is what each row is sorted by. `collate` makes a batch of the columns of some rows and
    their places, `[batch]`. `fields` are the columns that are tokens, one tensor a row (or several,
    such as the letters of each word); those of `output_field` are the targets, EOS included.
    """

    columns: Columns
    lengths: Sequence[tuple[int, ...]] | Rows
    collate: Callable[[Columns, Tensor], B]
    fields: Sequence[str]
    output_field: str

    def batch(self, places: Sequence[int]) -> B:
        rows = {name: _taken(column, places) for name, column in self.columns.items()}
        return self.collate(rows, torch.tensor(places, dtype=torch.long))

    def only(self, kept: Sequence[bool]) -> EncodedRows[B]:
        """The rows where `kept` is true."""
        places = np.flatnonzero(kept).tolist()
        columns = {name: _taken(column, places) for name, column in self.columns.items()}
        return replace(self, columns=columns, lengths=np.array(self.lengths)[places])

    def targets(self) -> Column:
        column: Column = self.columns[self.output_field]
        return column

    def counts(self) -> dict[str, Counts]:
        """For each field how often each id is one of its tokens."""
        none = torch.zeros(0, dtype=torch.long)
        found = {}
        for field in self.fields:
            column = self.columns[field]
            if isinstance(column, FlatRows):
                found[field] = count_ids(column.ids)
                continue
            rows = [[row] if isinstance(row, Tensor) else row for row in column]
            found[field] = count_ids(torch.cat([*chain.from_iterable(rows), none]).numpy())
        return found


def _taken(column: Column, places: Sequence[int]) -> Column:
    """The rows of a column at some places."""
    if isinstance(column, FlatRows):
        return column.take(places)
    return [column[place] for place in places]


def lengths_of(column: Column) -> Rows:
    """How long each row is, `[rows]`."""
    if isinstance(column, FlatRows):
        return column.lengths
    return np.array([*map(len, column)], dtype=np.int64)


class Epochs(Generic[E]):
    """What each epoch of training reads: `draw(epoch)`, a function of the epoch alone (see
    `Tokenizer.sample`), or `first` if there is no `draw`. Only the epoch that is read is kept."""

    def __init__(self, first: E, draw: Callable[[int], E] | None = None) -> None:
        self.first = first
        self._draw = draw
        self._latest = (0, first)

    def read(self, epoch: int) -> E:
        if self._draw is None or epoch == 0:
            return self.first
        if self._latest[0] != epoch:
            self._latest = (epoch, self._draw(epoch))
        return self._latest[1]


class RowTraining(Training[B]):
    """The batches of `buckets`, made of `rows`; `size` is that of their target texts.

    `draw(epoch)` may give an epoch its own tokens for the same rows; batches keep to the lengths
    of `rows`.
    """

    def __init__(
        self,
        rows: EncodedRows[B],
        size: TextSize,
        buckets: Buckets,
        draw: Callable[[int], EncodedRows[B]] | None = None,
    ) -> None:
        self.tokens = int(lengths_of(rows.targets()).sum())
        self.size = size
        self.steps_per_epoch = buckets.steps_per_epoch
        self.longest = int(np.array(rows.lengths)[:, 0].max())
        self._epochs = Epochs(rows, draw)
        self._buckets = buckets

    def batch(self, step: int) -> B:
        rows = self._epochs.read(step // self.steps_per_epoch)
        return rows.batch(self._buckets.rows(step).tolist())

    def counts(self) -> dict[str, Counts]:
        return self._epochs.first.counts()


class RowSplit(Split[B]):
    """Held-out rows, each of them read once, from the initial state."""

    def __init__(
        self, rows: EncodedRows[B], size: TextSize, examples: Sequence[Example] = ()
    ) -> None:
        self.tokens = int(lengths_of(rows.targets()).sum())
        self.unknown = sum(int((row == UNK).sum()) for row in rows.targets())
        self.size = size
        self.examples = examples
        self._rows = rows

    def walk(
        self, visit: Visit[B, R], initial_state: Callable[[int], State], batch_size: int
    ) -> list[R]:
        """Rows of about one length together, for little padding; no state: each row is a whole."""
        lengths = np.array(self._rows.lengths)
        order = np.lexsort(lengths.T[::-1]).tolist()  # the last key matters most
        chunks = (order[i : i + batch_size] for i in range(0, len(order), batch_size))
        return [visit(self._rows.batch(chunk), None)[0] for chunk in chunks]
