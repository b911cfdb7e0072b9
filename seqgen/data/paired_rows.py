"""What kinds of data share whose rows have a source and a target: their options and their ways."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import Field
from torch import Tensor

from seqgen.data.base import Data, Split, SplitName, Training
from seqgen.data.batches import PairBatch, Sources
from seqgen.data.buckets import Buckets
from seqgen.data.encoded_pairs import EncodedPairs, encode_pairs
from seqgen.data.files import TextFile
from seqgen.data.padding import padded
from seqgen.data.pair_rows import (
    Columns,
    Empty,
    PairRow,
    PairTable,
    examples_of,
    rows_at,
    without_empty,
)
from seqgen.data.row_batches import RowSplit, RowTraining
from seqgen.data.row_files import Part, RowFiles
from seqgen.data.rows import Layout
from seqgen.data.sources import SourceEncoder, split_features, split_source
from seqgen.data.text_changes import TextChange, changed
from seqgen.options import Size
from seqgen.tokenizers.base import Tokenizers


@dataclass(eq=False)
class PairedRows(RowFiles[PairRow], Data[PairBatch], ABC):
    """The options of kinds whose rows have a source and a target, and how they are read.

    `columns` says what stands in the columns, or in the files in parallel; `_` is skipped. Where a
    table has a header or is JSON lines, columns are found by name; `{source: english, target:
    french}` says what theirs is, or their number from 1. A column `features` has symbols such as
    `N;DAT;PL`, which `feature_separator` divides: they are put in front of the source, each a token
    of its own. `source_changes` and `target_changes` are made to each text before anything reads
    it. `empty` says what becomes of rows without a source or a target: an `error`, or they are left
    out with a remark (`drop`), or kept. Training leaves out rows whose source has more than
    `max_source_length` tokens, EOS not counted; held-out rows stay. Batches are of `batch_size`
    rows, or of up to `batch_tokens` tokens of both sides.
    """

    columns: Columns = ("source", "target")
    feature_separator: Annotated[str, Field(min_length=1)] = ";"
    source_changes: tuple[TextChange, ...] = ()
    target_changes: tuple[TextChange, ...] = ()
    empty: Empty = "error"
    max_source_length: Size | None = None
    batch_size: Size = 64
    batch_tokens: Size | None = None
    seed: int = 0

    asked: ClassVar[str] = "sources"

    def __post_init__(self) -> None:
        super().__post_init__()
        layout = Layout(self.columns, self.format, self.header)
        self._table = PairTable(layout, self.source_changes, self.target_changes)
        for name, files in (("train", self.train), ("valid", self.valid), ("test", self.test)):
            if isinstance(files, tuple) and len(files) not in (1, len(self.columns)):
                wanted = f"one file, or {len(self.columns)} in parallel ({', '.join(self.columns)})"
                raise ValueError(f"`{name}` must be {wanted}, but is {len(files)}")
            if isinstance(files, tuple) and len(files) > 1 and isinstance(self.columns, dict):
                raise ValueError(f"`columns` must be a list where `{name}` is files in parallel")
        middle = ("features",) if self._table.has_features else ()
        self.roles = ("source", *middle, "target")
        self.output_role = "target"
        self._remarks: dict[str, str] = {}

    @abstractmethod
    def target_tokens(self, text: str, tokenizers: Tokenizers, seed: int | None = None) -> Tensor:
        """What is predicted for a target text. Errors: ValueError."""

    def target_limit(self) -> int | None:
        """The most tokens that the target of a training row may have, EOS not counted."""
        return None

    def unknown_targets(self, rows: Sequence[PairRow]) -> str:
        """What a remark says of held-out rows whose target has unknown tokens."""
        return "with unknown tokens in the target"

    def parsed(self, files: Sequence[TextFile], names: Sequence[str]) -> list[PairRow]:
        """The rows, those without a source or a target as `empty` says."""
        name = ", ".join(names)
        rows, note = self._table.parse(files, names)
        rows, remark = without_empty(rows, name, self.empty)
        self._remark(f"layout of {name}", note)
        self._remark(f"empty in {name}", remark)
        return rows

    def identity(self, row: PairRow) -> object:
        """Rows of one source stay together."""
        return row.source

    def question(self, row: PairRow) -> object:
        """The source with its features."""
        return row.source, row.features

    def training_texts(self) -> dict[str, Iterable[str]]:
        """The training rows', those beyond a limit of length included."""
        rows = self.training_part.rows
        texts = {"source": [row.source for row in rows], "target": [row.target for row in rows]}
        if self._table.has_features:
            separator = self.feature_separator
            texts["features"] = [
                name for row in rows for name in split_features(row.features, separator)
            ]
        return {**texts}

    def training(self, tokenizers: Tokenizers) -> Training[PairBatch]:
        """Each training row once an epoch, in buckets by the lengths of source and target."""
        part = self.training_part
        samples = any(tokenizer.samples for tokenizer in tokenizers.values())

        def encoded(epoch: int, rows: list[PairRow]) -> EncodedPairs:
            sequence = np.random.SeedSequence([self.seed, epoch])
            drawn = sequence.generate_state(len(rows), np.uint64).tolist() if samples else None
            return self._encoded(Part(part.name, rows), tokenizers, drawn)

        every = encoded(0, part.rows)
        first, remark = every.within(self.max_source_length, self.target_limit(), part.name)
        self._remark("long", remark)
        features = self._table.has_features
        rows = first.batched(features)
        buckets = Buckets(rows.lengths, self.batch_size, self.batch_tokens, self.seed)
        draw = (lambda epoch: encoded(epoch, first.rows).batched(features)) if samples else None
        return RowTraining(rows, buckets, draw)

    def held_out(self, name: SplitName, tokenizers: Tokenizers) -> Split[PairBatch] | None:
        """All rows of the part; its examples have each source once, with all its targets."""
        part = self.part(name)
        if part is None:
            return None
        encoded = self._encoded(part, tokenizers)
        for role, rows in encoded.unknown().items():
            if rows:
                what = f"with unknown tokens in the {role}"
                what = self.unknown_targets(rows) if role == "target" else what
                place = f"{part.name}: of the {name} part, {rows_at([row.line for row in rows])}"
                self._remark(f"unknown {role} in {name}", f"{place} {what}")
        return RowSplit(encoded.batched(self._table.has_features), examples_of(part.rows))

    def given(self, file: TextFile, name: str, tokenizers: Tokenizers) -> RowSplit[PairBatch]:
        """All rows of a table, empty ones as they are."""
        part = Part(name, self._table.parse([file], [name])[0])
        encoded = self._encoded(part, tokenizers)
        return RowSplit(encoded.batched(self._table.has_features), examples_of(part.rows))

    def prompts(self, texts: Sequence[str], tokenizers: Tokenizers) -> Sources:
        """Each text as a source, with a tab and its features behind where the data has features.

        The empty text is EOS alone. Errors: ValueError for what is no source line.
        """
        encoder = SourceEncoder(tokenizers, self.feature_separator)
        values, lengths = padded([encoder.encode(*self._source(text)).joined for text in texts])
        return Sources(values, lengths)

    def source_pieces(self, prompt: str, tokenizers: Tokenizers) -> list[str]:
        """Of features and text, without EOS."""
        encoder = SourceEncoder(tokenizers, self.feature_separator)
        return encoder.pieces(*self._source(prompt))

    def unknown(self, prompt: str, tokenizers: Tokenizers) -> list[str]:
        """Of features and text."""
        return SourceEncoder(tokenizers, self.feature_separator).unknown(*self._source(prompt))

    def sizes(self, tokenizers: Tokenizers) -> dict[str, Any]:
        """Of the target, and of the source with its features."""
        encoder = SourceEncoder(tokenizers, self.feature_separator)
        return {**super().sizes(tokenizers), "source": {"vocab_size": encoder.vocab_size}}

    def fingerprint(self) -> dict[str, str]:
        """Of each file, or of the corpus."""
        return self.hashes()

    def remarks(self) -> tuple[str, ...]:
        """Of what has been read so far: rows left out, unknown tokens, sources that are in two
        parts, files that are not there or have faults."""
        return (*self.file_remarks(), *self._remarks.values())

    def _source(self, text: str) -> tuple[str, str]:
        source, features = split_source(text, self._table.has_features)
        return changed(source, self.source_changes), features

    def _remark(self, key: str, text: str) -> None:
        if text:
            self._remarks[key] = text

    def _encoded(
        self, part: Part[PairRow], tokenizers: Tokenizers, seeds: Sequence[int] | None = None
    ) -> EncodedPairs:
        def target(text: str, seed: int | None) -> Tensor:
            return self.target_tokens(text, tokenizers, seed)

        return encode_pairs(part, SourceEncoder(tokenizers, self.feature_separator), target, seeds)
