"""`RowData`, the base of kinds of data that are made of rows: their parts, batches and remarks.

A kind says how a text is parsed into rows (`parse`), how rows become tensors (`encode_rows`) and
how these become a batch (`collate`). All else that `Data` asks for follows from that.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from math import inf
from pathlib import Path
from typing import ClassVar, Generic, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor

from seqgen.data.base import Batch, Data, Empty, Example, TextSize
from seqgen.data.batches import Buckets, Columns, EncodedRows, RowSplit, RowTraining, lengths_of
from seqgen.data.flat_rows import FlatRows, encoded_rows
from seqgen.data.part_files import PART_NAMES, PartFiles, PartName, SplitName
from seqgen.data.tables import Format, Header, some_lines
from seqgen.data.text_files import TextFile
from seqgen.errors import DataError
from seqgen.options import Seed, Size
from seqgen.tokenizers import Tokenizer, Tokenizers


class NumberedRow(Protocol):
    """What is known of each row: the number of its line, from 1."""

    @property
    def line(self) -> int: ...


NamedFiles = Sequence[tuple[TextFile, str]]
"""Texts, each with what messages call it."""
Epoch = int | None
"""Of training; None for held-out rows."""

K = TypeVar("K")
T = TypeVar("T", bound=NumberedRow)
B = TypeVar("B", bound=Batch)


@dataclass(frozen=True)
class Part(Generic[T]):
    """The rows of a part, and what they were read from, for messages."""

    name: str
    rows: list[T]


@dataclass(eq=False)
class RowData(PartFiles, Data[B], ABC, Generic[T, B]):
    """Data whose parts are rows, with the options that all such kinds have.

    `train`, `valid` and `test` are each a file, or a list of files in parallel. If one text is
    divided, its different rows are, in an order drawn from `split_seed` and not from the seed of
    the run: another seed has the same parts. `format` and `header` are those of a table (see
    `Layout`), recognised unless they are given. Batches are of `batch_size` rows, or of up to
    `batch_tokens` tokens with the padding.
    """

    split_seed: Seed = 1
    format: Format = "auto"
    header: Header = "auto"
    _: KW_ONLY  # after the options of a kind
    batch_size: Size = 64
    batch_tokens: Size | None = None
    seed: int = 0

    noun: ClassVar[str] = "rows"
    """What messages call rows."""
    asked: ClassVar[str] = "rows"
    """What messages call that which `question` gives."""
    sorted_by: ClassVar[tuple[str, ...]]
    """The columns whose lengths decide which rows share a batch; the first matters most."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._parts: dict[PartName, Part[T] | None] = {}
        self._empty: dict[PartName, str] = {}

    # What a kind says.

    @abstractmethod
    def parse(self, files: NamedFiles, empty: Empty) -> tuple[list[T], Iterable[str]]:
        """The rows of one text, or of several in parallel, and remarks on how they were read.

        `empty` says what to do with rows without a text. Raises DataError with file:line.
        """

    @abstractmethod
    def encode_rows(self, part: Part[T], tokenizers: Tokenizers, epoch: Epoch) -> Columns:
        """The columns of some rows: the tokens of each field, and what `collate` needs besides.
        Raises DataError, with the line."""

    @abstractmethod
    def collate(self, columns: Columns, places: Tensor) -> B:
        """The batch of the columns of some rows, whose places in their part are `[batch]`."""

    @abstractmethod
    def identity(self, row: T) -> object:
        """Rows that are equal in this are in the same part if a text is divided."""

    def question(self, row: T) -> object:
        """What a model is asked; a held-out row was seen in training if its question was."""
        return self.identity(row)

    @abstractmethod
    def target_of(self, row: T) -> str:
        """The text that is predicted."""

    def source_of(self, row: T) -> str:
        """The source as a person would give it."""
        return ""

    def examples(self, rows: Sequence[T]) -> Sequence[Example]:
        """Each question once, with all its different targets, in the order of the rows; nothing
        if the data has no sources."""
        if self.continues:
            return ()
        found: dict[object, tuple[str, dict[str, None]]] = {}
        for row in rows:
            question = self.question(row)
            if question not in found:
                found[question] = (self.source_of(row), {})
            found[question][1][self.target_of(row)] = None
        return [Example(source, tuple(targets)) for source, targets in found.values()]

    def training_rows(self) -> Part[T]:
        """The training rows that are encoded. Raises DataError if there are none."""
        return self.training_part

    def limits(self) -> Mapping[str, int | None]:
        """How many tokens of each of `sorted_by` a training row may have, EOS not counted, by what
        messages call the limit."""
        return {}

    def redraws(self, tokenizers: Tokenizers) -> bool:
        """Whether each epoch has tokens of its own, drawn from the seed and its number."""
        return any(tokenizer.samples for tokenizer in tokenizers.values())

    def unknown_remarks(self, split: SplitName, part: Part[T], columns: Columns) -> Iterable[str]:
        """Remarks on held-out rows with tokens that are unknown."""
        return ()

    # What follows from it.

    def training_texts(self) -> dict[str, Iterable[str]]:
        """The texts of all training rows, those over a length limit included."""
        return {self.output_field: [self.target_of(row) for row in self.training_part.rows]}

    def training(self, tokenizers: Tokenizers) -> RowTraining[B]:
        """Each training row once an epoch, rows of about one length together."""
        part = self.training_rows()
        first, rows = self._within_limits(part, self._encoded(part, tokenizers, 0))
        buckets = Buckets(first.lengths, self.batch_size, self.batch_tokens, self.seed)

        def draw(epoch: int) -> EncodedRows[B]:
            return self._encoded(Part(part.name, rows), tokenizers, epoch)

        size = TextSize.of([self.target_of(row) for row in rows])
        return RowTraining(first, size, buckets, draw if self.redraws(tokenizers) else None)

    def held_out(self, name: SplitName, tokenizers: Tokenizers) -> RowSplit[B] | None:
        part = self.part(name)
        if part is None:
            return None
        rows = self._encoded(part, tokenizers)
        self._remark(*self.unknown_remarks(name, part, rows.columns))
        return self._split(part, rows)

    def parse_rows(self, file: TextFile, name: str, tokenizers: Tokenizers) -> RowSplit[B]:
        rows, _ = self.parse([(file, name)], "keep")
        part = Part(name, rows)
        return self._split(part, self._encoded(part, tokenizers))

    def fingerprint(self) -> dict[str, str]:
        for name in PART_NAMES:
            self.part(name)
        return dict(self._hashes)

    def file_remarks(self) -> list[str]:
        """Also on empty held-out parts, and on held-out rows that are also in training."""
        empty = (
            f"{where}: no rows for the {name} part, so there is none"
            for name, where in self._empty.items()
        )
        return [*super().file_remarks(), *empty, *self._shared()]

    def part(self, name: PartName) -> Part[T] | None:
        """The rows of a part, or None. Raises DataError."""
        if name not in self._parts:
            if self.files is None:
                self._parts = self._divided()
            else:
                self._parts[name] = self._read(name, self.files[name])
        return self._parts[name]

    @property
    def training_part(self) -> Part[T]:
        """The training rows, without which there is no data. Raises DataError."""
        part = self.part("train")
        assert part is not None  # reading it would have raised
        return part

    def seeds(self, part: Part[T], tokenizers: Tokenizers, epoch: Epoch) -> list[int | None]:
        """The seed by which the texts of each row are cut; None if nothing samples."""
        if epoch is None or not any(each.samples for each in tokenizers.values()):
            return [None] * len(part.rows)
        sequence = np.random.SeedSequence([self.seed, epoch])
        return [*sequence.generate_state(len(part.rows), np.uint64).tolist()]

    def encode_targets(self, part: Part[T], tokenizers: Tokenizers, epoch: Epoch) -> FlatRows:
        """The tokens of the targets, then EOS. Raises DataError, with the line, if a tokenizer
        refuses one."""
        tokenizer, seeds = tokenizers[self.output_field], self.seeds(part, tokenizers, epoch)
        texts = [self.target_of(row) for row in part.rows]
        try:
            return encoded_rows(tokenizer, texts, seeds)
        except ValueError:
            for row, text, seed in zip(part.rows, texts, seeds, strict=True):
                try:
                    cut(tokenizer, text, seed)
                except ValueError as error:
                    raise DataError(f"{part.name}:{row.line}: {error}") from None
            raise

    def _encoded(
        self, part: Part[T], tokenizers: Tokenizers, epoch: Epoch = None
    ) -> EncodedRows[B]:
        columns = self.encode_rows(part, tokenizers, epoch)
        lengths = np.stack([lengths_of(columns[name]) for name in self.sorted_by], axis=1)
        return EncodedRows(columns, lengths, self.collate, self.fields, self.output_field)

    def _split(self, part: Part[T], rows: EncodedRows[B]) -> RowSplit[B]:
        size = TextSize.of([self.target_of(row) for row in part.rows])
        return RowSplit(rows, size, self.examples(part.rows))

    def _within_limits(
        self, part: Part[T], encoded: EncodedRows[B]
    ) -> tuple[EncodedRows[B], list[T]]:
        """What `limits` leave of the training rows, with a remark on the others. Raises DataError
        if nothing is left."""
        limits = self.limits()
        bounds = [inf if most is None else most for most in limits.values()]
        lengths = np.array(encoded.lengths)[:, : len(bounds)]
        within = (lengths - 1 <= np.array(bounds[: lengths.shape[1]])).tolist()
        fits = [all(row) for row in within]
        if all(fits):
            return encoded, part.rows
        longer = f"longer than {' or '.join(said for said, most in limits.items() if most)}"
        if not any(fits):
            raise DataError(f"{part.name}: all {len(fits)} training {self.noun} are {longer}")
        lines = [row.line for row, fit in zip(part.rows, fits, strict=True) if not fit]
        found = f"{len(lines)} of {len(fits)} {self.noun} are {longer}"
        self._remark(f"{part.name}: {found} and left out of training ({some_lines(lines)})")
        kept = [row for row, fit in zip(part.rows, fits, strict=True) if fit]
        return encoded.only(fits), kept

    def _shared(self) -> Iterator[str]:
        """How much of each held-out part is also in training, unless a whole file is."""
        training = self._parts.get("train")
        if training is None or self.files is None:
            return
        known = set(map(self.question, training.rows))
        same = {name for _, name, _ in self.copies()}
        for name in PART_NAMES[1:]:
            part = self.part(name) if name not in same else None
            own = set(map(self.question, part.rows)) if part else set()
            if part and own & known:
                both = f"{len(own & known)} of {len(own)} different {self.asked} are in training"
                yield f"{part.name}: of the {name} part, {both}, too"

    def _divided(self) -> dict[PartName, Part[T] | None]:
        files = self.read_undivided()
        if len(files) > 1:
            raise DataError(f"{self.path}: fits {len(files)} files, but rows come from one")
        whole = self._parsed(files)
        parts = divided(whole.rows, self.split, self.split_seed, self.identity)
        if not parts[0]:
            count, shares = len(set(map(self.identity, whole.rows))), list(self.split)
            found = f"{count} different row{'s' if count > 1 else ''}"
            raise DataError(f"{whole.name}: {found} and the split {shares} leave none for training")
        for name, rows, share in zip(PART_NAMES, parts, self.split, strict=True):
            if share and not rows:
                self._empty[name] = whole.name
        made = (Part(whole.name, rows) if rows else None for rows in parts)
        return dict(zip(PART_NAMES, made, strict=True))

    def _read(self, name: PartName, paths: Sequence[Path]) -> Part[T] | None:
        if not paths:
            return None
        files = [*map(self.read, paths)]
        if name != "train" and not any(file.records or file.text.strip() for file, _ in files):
            self._empty[name] = ", ".join(each for _, each in files)
            return None
        return self._parsed(files)

    def _parsed(self, files: NamedFiles) -> Part[T]:
        rows, remarks = self.parse(files, self.empty)
        self._remark(*remarks)
        return Part(", ".join(name for _, name in files), rows)


def divided(
    rows: Sequence[K], shares: Sequence[float], seed: int, key: Callable[[K], object]
) -> list[list[K]]:
    """The rows in parts, each of its share of the different keys, drawn from `seed`.

    Rows with the same key stay together, and in their order. The draw depends on the keys in the
    order in which they first appear, and on nothing else.
    """
    places: dict[object, int] = {}
    keys = [places.setdefault(key(row), len(places)) for row in rows]
    drawn = np.random.default_rng(seed).permutation(len(places))
    ends = np.rint(np.cumsum(shares) * len(places)).astype(int)
    part_of = np.empty(len(places), dtype=int)
    part_of[drawn] = np.searchsorted(ends, np.arange(len(places)), side="right")
    made: list[list[K]] = [[] for _ in range(len(shares) + 1)]  # the last for what is in no share
    for row, part in zip(rows, part_of[keys].tolist(), strict=True):
        made[part].append(row)
    return made[:-1]


def cut(tokenizer: Tokenizer, text: str, seed: int | None) -> Tensor:
    """The tokens of a text, with a `seed` in one of the ways to cut it."""
    return torch.from_numpy(
        tokenizer.encode(text) if seed is None else tokenizer.sample(text, seed)
    )
