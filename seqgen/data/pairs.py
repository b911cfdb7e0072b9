"""The data kind `pairs`: a source on each line, and the target that is to be made of it."""

from __future__ import annotations

import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import compress
from math import inf
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from seqgen.data.base import (
    Data,
    Example,
    Split,
    SplitName,
    Training,
    data,
    pieces_of,
    unknown_pieces,
)
from seqgen.data.batches import PairBatch, Sources, begun, ended, padded
from seqgen.data.row_batches import Buckets, EncodedRows, RowSplit, RowTraining, text_size
from seqgen.data.row_files import Part, RowFiles
from seqgen.data.tables import Layout, Place, parse_parallel, parse_table, some_lines
from seqgen.data.text_files import TextFile
from seqgen.errors import DataError
from seqgen.options import Size
from seqgen.tokenizers import UNK, Tokenizer, Tokenizers

# Changes that are made to a text before anything else reads it.


TextChange = Literal["lower", "NFC", "NFD", "NFKC", "NFKD"]


def changed(text: str, changes: Sequence[TextChange]) -> str:
    """`text` after all `changes` in their order.

    `lower` is lower case; the others are normal forms of Unicode, of which NFD takes letters with
    accents and Hangul syllables apart, and NFC puts them together (Unicode Standard Annex 15).
    """
    for change in changes:
        text = text.lower() if change == "lower" else unicodedata.normalize(change, text)
    return text


# Sources as an encoder reads them: features first, then the tokens of the text, then EOS.


class EncodedSource(NamedTuple):
    """The tokens of a source: of its `text` with EOS, of its `features`, and as they are read.

    In `joined` the ids of features stand behind all ids of texts.
    """

    text: Tensor
    features: Tensor
    joined: Tensor


@dataclass(frozen=True)
class SourceEncoder:
    """Sources to tokens, by the tokenizer of the role `source` and that of `features`, if any."""

    tokenizers: Tokenizers
    separator: str

    @property
    def vocab_size(self) -> int:
        """The number of ids that an encoder reads."""
        return sum(len(self.tokenizers[role]) for role in ("source", "features") if self._has(role))

    def encode(self, text: str, features: str = "", seed: int | None = None) -> EncodedSource:
        """With a `seed` in one of the ways to cut the text. Errors: ValueError for what a
        tokenizer refuses."""
        tokens = ended(_tokens(self.tokenizers["source"], text, seed))
        names = split_features(features, self.separator) if self._has("features") else []
        if not names:
            return EncodedSource(tokens, tokens[:0], tokens)
        tokenizer = self.tokenizers["features"]
        before = torch.cat([torch.from_numpy(tokenizer.encode(name)) for name in names])
        joined = torch.cat([before + len(self.tokenizers["source"]), tokens])
        return EncodedSource(tokens, before, joined)

    def pieces(self, text: str, features: str) -> list[str]:
        """The tokens but for EOS as a person reads them, unknown ones as they stand in the text
        where that can be told: where tokens are words between spaces, or characters."""
        before = self.encode(text, features).features.tolist()
        shown = [self.tokenizers["features"].shown(token) for token in before]
        return shown + pieces_of(text, self.tokenizers["source"])

    def unknown(self, text: str, features: str) -> list[str]:
        """The features and tokens that are not known, as they stand there as far as can be told."""
        names = split_features(features, self.separator) if self._has("features") else []
        found = [
            each for name in names for each in unknown_pieces(name, self.tokenizers["features"])
        ]
        return found + unknown_pieces(text, self.tokenizers["source"])

    def _has(self, role: str) -> bool:
        return role in self.tokenizers


def split_features(features: str, separator: str) -> list[str]:
    """`N;DAT;PL` as `N`, `DAT` and `PL`; between two separators there may be nothing."""
    return [name for name in features.split(separator) if name]


def split_source(text: str, has_features: bool) -> tuple[str, str]:
    """What a person gives, as a source and its features: `lemma<TAB>N;DAT;PL`, or a source alone.

    Errors: ValueError where that is no line, or has too many tabs.
    """
    if "\n" in text or "\r" in text:
        raise ValueError("`text` must be one line, but has a line break in it")
    source, *rest = text.split("\t")
    if len(rest) > has_features:
        wanted = "a source, or a source, a tab and its features" if has_features else "a source"
        tabs = f"{len(rest)} tab{'s' if len(rest) > 1 else ''}"
        raise ValueError(f"`text` must be {wanted}, but has {tabs} in it")
    return source, rest[0] if rest else ""


def _tokens(tokenizer: Tokenizer, text: str, seed: int | None) -> Tensor:
    tokens = tokenizer.encode(text) if seed is None else tokenizer.sample(text, seed)
    return torch.from_numpy(tokens)


# Rows with a source and a target: their columns, what is empty in them, and examples of them.


Role = Literal["source", "target", "features"]
Columns = tuple[Role | Literal["_"], ...] | dict[Role, Place]
Empty = Literal["error", "drop", "keep"]


class PairRow(NamedTuple):
    """The number of a row's line, what a person would give for it, and its texts as they are read.

    `given` is the source as it stands there, with a tab and the features behind where it has some.
    """

    line: int
    given: str
    source: str
    features: str
    target: str


@dataclass(frozen=True)
class PairTable:
    """How lines are read as pairs: the layout, and what is changed in the texts."""

    layout: Layout
    source_changes: tuple[TextChange, ...] = ()
    target_changes: tuple[TextChange, ...] = ()

    def __post_init__(self) -> None:
        read = self.layout.read
        if sorted(read) not in (["source", "target"], ["features", "source", "target"]):
            needed = "source and target once each, features at most once, and `_` for others"
            raise ValueError(f"`columns` must name {needed}, but is {list(self.layout.columns)}")

    @property
    def has_features(self) -> bool:
        """Whether there is a column of features."""
        return "features" in self.layout.read

    def parse(self, files: Sequence[TextFile], names: Sequence[str]) -> tuple[list[PairRow], str]:
        """The rows of one table, or of files in parallel, and the note of `read_table`.
        Raises DataError."""
        if len(files) == 1:
            rows, note = parse_table(files[0], names[0], self.layout)
        else:
            rows, note = parse_parallel(files, names, self.layout), ""
        read = self.layout.read
        source, target = read.index("source"), read.index("target")
        features = read.index("features") if self.has_features else None
        pairs = [
            self._row(
                row.line,
                row.texts[source],
                "" if features is None else row.texts[features],
                row.texts[target],
            )
            for row in rows
        ]
        return pairs, note

    def _row(self, line: int, source: str, features: str, target: str) -> PairRow:
        given = f"{source}\t{features}" if features else source
        changed_source = changed(source, self.source_changes)
        return PairRow(line, given, changed_source, features, changed(target, self.target_changes))


def without_empty(rows: list[PairRow], name: str, empty: Empty) -> tuple[list[PairRow], str]:
    """The rows that `empty` allows, and a remark where some were left out.

    A text without a sign other than spaces is empty. Errors: DataError that names the line.
    """
    if empty == "keep":
        return rows, ""
    full = [row for row in rows if row.source.strip() and row.target.strip()]
    if len(full) == len(rows):
        return rows, ""
    lines = [row.line for row in rows if not (row.source.strip() and row.target.strip())]
    if empty == "error":
        first = next(row for row in rows if row.line == lines[0])
        what = "target" if first.source.strip() else "source"
        raise DataError(
            f"{name}:{first.line}: the {what} is empty (data.empty: drop leaves such rows out, "
            "keep reads them as they are)"
        )
    if not full:
        raise DataError(f"{name}: no row has a source and a target ({len(rows)} rows)")
    return full, f"{name}: {rows_at(lines)} without a source or a target left out"


def examples_of(rows: Sequence[PairRow]) -> tuple[Example, ...]:
    """Each source once, features included, with all its different targets, as they come first."""
    found: dict[tuple[str, str], tuple[str, dict[str, None]]] = {}
    for row in rows:
        _, targets = found.setdefault((row.source, row.features), (row.given, {}))
        targets[row.target] = None
    return tuple(Example(given, tuple(targets)) for given, targets in found.values())


def rows_at(lines: Sequence[int]) -> str:
    """`3 rows (lines 4, 9, 12)`."""
    return f"{len(lines)} row{'s' if len(lines) > 1 else ''} ({some_lines(lines)})"


# Rows with a source and a target as tokens, and batches of them.


TargetEncoder = Callable[[str, int | None], Tensor]
"""What is predicted for a target text; with a seed in one of the ways to cut it."""


class EncodedPairs(NamedTuple):
    """The tokens of the sources and of the targets of some rows."""

    rows: list[PairRow]
    sources: list[EncodedSource]
    targets: list[Tensor]

    def within(self, source: int | None, target: int | None, name: str) -> tuple[EncodedPairs, str]:
        """The rows whose source and target have at most so many tokens, EOS not counted, and a
        remark where others were left out. Errors: DataError where none is left.
        """
        source_most, target_most = (inf if most is None else most for most in (source, target))
        fits = [
            len(own.joined) - 1 <= source_most and len(row) - 1 <= target_most
            for own, row in zip(self.sources, self.targets, strict=True)
        ]
        if all(fits):
            return self, ""
        limits = {"max_source_length": source, "max_target_length": target}
        said = " or ".join(f"{option} {most}" for option, most in limits.items() if most)
        if not any(fits):
            raise DataError(f"{name}: all {len(fits)} training rows are longer than {said}")
        lines = [row.line for row, fit in zip(self.rows, fits, strict=True) if not fit]
        remark = f"{name}: {rows_at(lines)} longer than {said} left out of training"
        kept = EncodedPairs(
            list(compress(self.rows, fits)),
            list(compress(self.sources, fits)),
            list(compress(self.targets, fits)),
        )
        return kept, remark

    def unknown(self) -> dict[str, list[PairRow]]:
        """For each role the rows that have tokens in it that its tokenizer does not know."""
        places = {
            "source": [source.text for source in self.sources],
            "features": [source.features for source in self.sources],
            "target": self.targets,
        }
        return {
            role: [row for row, own in zip(self.rows, tokens, strict=True) if (own == UNK).any()]
            for role, tokens in places.items()
        }

    def batched(self, has_features: bool) -> EncodedRows[PairBatch]:
        """The rows as what training and held-out parts are made of."""
        sources = [source.joined for source in self.sources]
        tokens = {"source": [source.text for source in self.sources], "target": self.targets}
        if has_features:
            tokens["features"] = [source.features for source in self.sources]

        def collate(numbers: Sequence[int]) -> PairBatch:
            values, source_lengths = padded([sources[number] for number in numbers])
            rows = [self.targets[number] for number in numbers]
            targets, lengths = padded(rows)
            places = torch.tensor(numbers, dtype=torch.long)
            return PairBatch(Sources(values, source_lengths), begun(rows), targets, lengths, places)

        lengths = [(len(a), len(b)) for a, b in zip(sources, self.targets, strict=True)]
        size = text_size([row.target for row in self.rows])
        return EncodedRows(lengths, collate, tokens, "target", size)


def encode_pairs(
    part: Part[PairRow],
    sources: SourceEncoder,
    target: TargetEncoder,
    seeds: Sequence[int] | None = None,
) -> EncodedPairs:
    """The tokens of a part's rows; with `seeds`, one for each row, in ways drawn from them.

    Errors: DataError, with the line, for what a tokenizer refuses.
    """
    encoded, targets = [], []
    for number, row in enumerate(part.rows):
        seed = None if seeds is None else seeds[number]
        role = "source"
        try:
            encoded.append(sources.encode(row.source, row.features, seed))
            role = "target"
            targets.append(target(row.target, seed))
        except ValueError as error:
            raise DataError(f"{part.name}:{row.line}: the {role}: {error}") from None
    return EncodedPairs(part.rows, encoded, targets)


# What kinds of data share whose rows have a source and a target: their options and their ways.


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


@data.register("pairs")
@dataclass(eq=False)
class PairsData(PairedRows):
    """A source and a target on each line, a tab between; `path` is a directory or one file.

    One source may have several right targets, each on a line of its own: training reads each of
    them, an answer is right if it equals any. Training leaves out rows whose target has more than
    `max_target_length` tokens, as it does for `max_source_length`.
    """

    max_target_length: Size | None = None

    usual_tokenizers = MappingProxyType({"features": "whole"})
    ends = True

    def target_tokens(self, text: str, tokenizers: Tokenizers, seed: int | None = None) -> Tensor:
        """The tokens of the text, then EOS."""
        tokenizer = tokenizers["target"]
        tokens = tokenizer.encode(text) if seed is None else tokenizer.sample(text, seed)
        return ended(torch.from_numpy(tokens))

    def target_limit(self) -> int | None:
        """`max_target_length`."""
        return self.max_target_length


# The data kind `labelled`: a text on each line, and the class that it belongs to.


@data.register("labelled")
@dataclass(eq=False)
class LabelledData(PairedRows):
    """A text and its class on each line, a tab between; `path` is a directory or one file.

    The text is the source, the class the target, which is one token. A text that is there with
    several classes is right with any of them.
    """

    usual_tokenizers = MappingProxyType({"features": "whole", "target": "whole"})
    ends = False

    def target_tokens(self, text: str, tokenizers: Tokenizers, seed: int | None = None) -> Tensor:
        """The one token of a class; ValueError where its tokenizer makes none or several of it."""
        tokens = torch.from_numpy(tokenizers["target"].encode(text))
        if len(tokens) != 1:
            raise ValueError(f"a class must be one token, but {text!r} is {len(tokens)}")
        return tokens

    def unknown_targets(self, rows: Sequence[PairRow]) -> str:
        """The classes."""
        classes = sorted({row.target for row in rows})
        more = ", ..." if len(classes) > 5 else ""
        return f"with a class that training does not have: {', '.join(classes[:5])}{more}"

    def output_lengths(self, batch: Sources) -> Tensor:
        """One token for each text."""
        return torch.ones_like(batch.lengths)
