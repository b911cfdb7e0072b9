"""The data kinds `pairs` and `labelled`: a source, and the text or the class that is its target."""

from __future__ import annotations

import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from types import MappingProxyType
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from seqgen.data.base import Empty, data, pieces_of, unknown_pieces
from seqgen.data.batches import Columns, PairBatch, Sources, append_eos, padded, shift_right
from seqgen.data.flat_rows import FlatRows, encoded_rows
from seqgen.data.part_files import SplitName
from seqgen.data.rows import Epoch, NamedFiles, Part, RowData, cut
from seqgen.data.tables import Layout, Place, parse_parallel, parse_table, some_lines
from seqgen.errors import DataError
from seqgen.options import Size
from seqgen.tokenizers import UNK, Tokenizers

TextChange = Literal["lower", "NFC", "NFD", "NFKC", "NFKD"]
Side = Literal["source", "target", "features"]
PairColumns = tuple[Side | Literal["_"], ...] | dict[Side, Place]


class PairRow(NamedTuple):
    """The number of a row's line, its source as a person would give it, and its texts.

    `given` is the source without changes, followed by a tab and the features, if it has any.
    """

    line: int
    given: str
    source: str
    features: str
    target: str


def changed(text: str, changes: Sequence[TextChange]) -> str:
    """`text` after all `changes` in their order.

    `lower` is lower case; the others are normal forms of Unicode, of which NFD takes letters with
    accents and Hangul syllables apart, and NFC puts them together (Unicode Standard Annex 15).
    """
    for change in changes:
        text = text.lower() if change == "lower" else unicodedata.normalize(change, text)
    return text


def rows_at(rows: Sequence[PairRow]) -> str:
    """`3 rows (lines 4, 9, 12)`."""
    lines = [row.line for row in rows]
    return f"{len(lines)} row{'s' if len(lines) > 1 else ''} ({some_lines(lines)})"


@dataclass(eq=False)
class PairedRows(RowData[PairRow, PairBatch], ABC):
    """Data whose rows have a source and a target, with the options of such kinds.

    `columns` says what the columns are, or the files in parallel; `_` is skipped. If a table has a
    header or is JSON lines, columns are found by name; `{source: english, target: french}` says
    what theirs is, or their number from 1. A column `features` has symbols such as `N;DAT;PL`,
    which `feature_separator` divides: they are put in front of the source, each a token of its own.
    `source_changes` and `target_changes` are made to each text before anything reads it. `empty`
    says what to do with rows without a source or a target: an `error`, or they are left out with a
    remark (`drop`), or kept. Training leaves out rows whose source has more than
    `max_source_length` tokens, EOS not counted; held-out rows stay. Batches are of `batch_size`
    rows, or of up to `batch_tokens` tokens of both sides.
    """

    columns: PairColumns = ("source", "target")
    feature_separator: Annotated[str, Field(min_length=1)] = ";"
    source_changes: tuple[TextChange, ...] = ()
    target_changes: tuple[TextChange, ...] = ()
    empty: Empty = "error"
    max_source_length: Size | None = None

    output_field = "target"
    asked = "sources"
    sorted_by = ("joined", "target")

    def __post_init__(self) -> None:
        super().__post_init__()
        self._layout = Layout(self.columns, self.format, self.header)
        read = self._layout.read
        if sorted(read) not in (["source", "target"], ["features", "source", "target"]):
            needed = "source and target once each, features at most once, and `_` for others"
            raise ValueError(f"`columns` must name {needed}, but is {list(self.columns)}")
        for name, files in (("train", self.train), ("valid", self.valid), ("test", self.test)):
            if isinstance(files, tuple) and len(files) not in (1, len(self.columns)):
                wanted = f"one file, or {len(self.columns)} in parallel ({', '.join(self.columns)})"
                raise ValueError(f"`{name}` must be {wanted}, but is {len(files)}")
            if isinstance(files, tuple) and len(files) > 1 and isinstance(self.columns, dict):
                raise ValueError(f"`columns` must be a list where `{name}` is files in parallel")
        self._has_features = "features" in read
        middle = ("features",) if self._has_features else ()
        self.fields = ("source", *middle, "target")

    @abstractmethod
    def target_tokens(self, text: str, tokenizers: Tokenizers, seed: int | None) -> Tensor:
        """What is predicted for a target, cut by a `seed` if there is one. Raises ValueError."""

    def unknown_targets(self, rows: Sequence[PairRow]) -> str:
        """What a remark says of held-out rows whose target is unknown."""
        return "with unknown tokens in the target"

    def parse(self, files: NamedFiles, empty: Empty) -> tuple[list[PairRow], Iterable[str]]:
        if len(files) == 1:
            table, note = parse_table(*files[0], self._layout)
        else:
            table, note = parse_parallel(files, self._layout), ""
        rows, sides = [], self._layout.read
        source_at, target_at = sides.index("source"), sides.index("target")
        features_at = sides.index("features") if self._has_features else None
        for line, texts in table:
            source, features = texts[source_at], "" if features_at is None else texts[features_at]
            given = f"{source}\t{features}" if features else source
            read = changed(source, self.source_changes)
            target = changed(texts[target_at], self.target_changes)
            rows.append(PairRow(line, given, read, features, target))
        kept, remark = without_empty(rows, ", ".join(name for _, name in files), empty)
        return kept, filter(None, [note, remark])

    def encode_rows(self, part: Part[PairRow], tokenizers: Tokenizers, epoch: Epoch) -> Columns:
        """`joined` is what is read: features, with ids after those of texts, then the text."""
        rows, seeds = part.rows, self.seeds(part, tokenizers, epoch)
        try:
            source = encoded_rows(tokenizers["source"], [row.source for row in rows], seeds)
            target = self.target_rows([row.target for row in rows], tokenizers, seeds)
            if not self._has_features:
                features = FlatRows(
                    np.zeros(0, dtype=np.int64), np.zeros(len(rows), dtype=np.int64)
                )
                return {"source": source, "features": features, "joined": source, "target": target}
            features = FlatRows.of(self._encode_features(row.features, tokenizers) for row in rows)
        except ValueError:
            for row, seed in zip(rows, seeds, strict=True):
                self._refuse(row, part.name, tokenizers, seed)
            raise
        both = zip(features, source, strict=True)
        joined = FlatRows.of(_joined(own, text, tokenizers) for own, text in both)
        return {"source": source, "features": features, "joined": joined, "target": target}

    def target_rows(
        self, texts: Sequence[str], tokenizers: Tokenizers, seeds: Sequence[int | None]
    ) -> FlatRows:
        """The `target_tokens` of all targets. Raises ValueError."""
        both = zip(texts, seeds, strict=True)
        return FlatRows.of(self.target_tokens(text, tokenizers, seed) for text, seed in both)

    def collate(self, columns: Columns, places: Tensor) -> PairBatch:
        targets = columns["target"]
        sources = Sources(*padded(columns["joined"]))
        return PairBatch(sources, shift_right(targets), *padded(targets), places)

    def identity(self, row: PairRow) -> object:
        return row.source

    def question(self, row: PairRow) -> object:
        return row.source, row.features

    def target_of(self, row: PairRow) -> str:
        return row.target

    def source_of(self, row: PairRow) -> str:
        return row.given

    def limits(self) -> Mapping[str, int | None]:
        return {f"max_source_length {self.max_source_length}": self.max_source_length}

    def unknown_remarks(
        self, split: SplitName, part: Part[PairRow], columns: Columns
    ) -> Iterable[str]:
        for side in ("source", "features", "target"):
            tokens = zip(part.rows, columns[side], strict=True)
            rows = [row for row, own in tokens if (own == UNK).any()]
            if rows:
                what = f"with unknown tokens in the {side}"
                what = self.unknown_targets(rows) if side == "target" else what
                yield f"{part.name}: of the {split} part, {rows_at(rows)} {what}"

    def training_texts(self) -> dict[str, Iterable[str]]:
        rows = self.training_part.rows
        texts = {"source": [row.source for row in rows], **super().training_texts()}
        if self._has_features:
            names = (self._split_features(row.features) for row in rows)
            texts["features"] = [*chain.from_iterable(names)]
        return texts

    def prompts(self, texts: Sequence[str], tokenizers: Tokenizers) -> Sources:
        """Each text as a source, followed by a tab and its features if the data has features.

        The empty text is EOS alone. Raises ValueError if a text is no source line.
        """
        rows = []
        for source, features in map(self._split_source, texts):
            before = self._encode_features(features, tokenizers)
            text = append_eos(cut(tokenizers["source"], source, None))
            rows.append(_joined(before, text, tokenizers))
        return Sources(*padded(rows))

    def source_pieces(self, prompt: str, tokenizers: Tokenizers) -> list[str]:
        """Of features and text, without EOS."""
        source, features = self._split_source(prompt)
        before = self._encode_features(features, tokenizers).tolist()
        shown = [tokenizers["features"].shown(token) for token in before]
        return [*shown, *pieces_of(source, tokenizers["source"])]

    def unknown(self, prompt: str, tokenizers: Tokenizers) -> list[str]:
        """Of features and text."""
        source, features = self._split_source(prompt)
        names = self._split_features(features)
        found = (unknown_pieces(name, tokenizers["features"]) for name in names)
        return [*chain.from_iterable(found), *unknown_pieces(source, tokenizers["source"])]

    def sizes(self, tokenizers: Tokenizers) -> dict[str, Any]:
        read = sum(len(tokenizers[field]) for field in self.fields if field != "target")
        return {**super().sizes(tokenizers), "source": {"vocab_size": read}}

    def _refuse(self, row: PairRow, name: str, tokenizers: Tokenizers, seed: int | None) -> None:
        """Raises DataError, with the line, if a tokenizer refuses what is in the row."""
        side = "source"
        try:
            cut(tokenizers["source"], row.source, seed)
            self._encode_features(row.features, tokenizers)
            side = "target"
            self.target_tokens(row.target, tokenizers, seed)
        except ValueError as error:
            raise DataError(f"{name}:{row.line}: the {side}: {error}") from None

    def _encode_features(self, features: str, tokenizers: Tokenizers) -> Tensor:
        names = self._split_features(features)
        tokens = [torch.from_numpy(tokenizers["features"].encode(name)) for name in names]
        return torch.cat(tokens) if tokens else torch.zeros(0, dtype=torch.long)

    def _split_features(self, features: str) -> list[str]:
        """`N;DAT;PL` as `N`, `DAT` and `PL`; between two separators there may be nothing."""
        if not self._has_features:
            return []
        return [name for name in features.split(self.feature_separator) if name]

    def _split_source(self, text: str) -> tuple[str, str]:
        """The source and the features of `lemma<TAB>N;DAT;PL`, or of a source alone.

        Raises ValueError if the text is no line, or has too many tabs.
        """
        if "\n" in text or "\r" in text:
            raise ValueError("`text` must be one line, but has a line break in it")
        source, *rest = text.split("\t")
        if len(rest) > self._has_features:
            wanted = "a source, or a source, a tab and its features"
            wanted = wanted if self._has_features else "a source"
            tabs = f"{len(rest)} tab{'s' if len(rest) > 1 else ''}"
            raise ValueError(f"`text` must be {wanted}, but has {tabs} in it")
        return changed(source, self.source_changes), rest[0] if rest else ""


def _joined(features: Tensor, text: Tensor, tokenizers: Tokenizers) -> Tensor:
    return torch.cat([features + len(tokenizers["source"]), text]) if len(features) else text


def without_empty(rows: list[PairRow], name: str, empty: Empty) -> tuple[list[PairRow], str]:
    """The rows that `empty` allows, and a remark if some were left out.

    A text of nothing but spaces is empty. Raises DataError, with the line.
    """
    full = [row for row in rows if row.source.strip() and row.target.strip()]
    if empty == "keep" or len(full) == len(rows):
        return rows, ""
    out = [row for row in rows if not (row.source.strip() and row.target.strip())]
    if empty == "error":
        what = "target" if out[0].source.strip() else "source"
        raise DataError(
            f"{name}:{out[0].line}: the {what} is empty (data.empty: drop leaves such rows out, "
            "keep reads them as they are)"
        )
    if not full:
        raise DataError(f"{name}: no row has a source and a target ({len(rows)} rows)")
    return full, f"{name}: {rows_at(out)} without a source or a target left out"


@data.register("pairs")
@dataclass(eq=False)
class PairsData(PairedRows):
    """Lines of a source, a tab and its target; `path` is a directory or one file.

    One source may have several right targets, each on a line of its own: training reads each of
    them, an answer is right if it equals any. Training leaves out rows whose target has more than
    `max_target_length` tokens, as it does for `max_source_length`.
    """

    max_target_length: Size | None = field(default=None, kw_only=True)

    default_tokenizers = MappingProxyType({"features": "whole"})
    ends = True

    def target_tokens(self, text: str, tokenizers: Tokenizers, seed: int | None) -> Tensor:
        return append_eos(cut(tokenizers["target"], text, seed))

    def target_rows(
        self, texts: Sequence[str], tokenizers: Tokenizers, seeds: Sequence[int | None]
    ) -> FlatRows:
        return encoded_rows(tokenizers["target"], texts, seeds)

    def limits(self) -> Mapping[str, int | None]:
        own = {f"max_target_length {self.max_target_length}": self.max_target_length}
        return {**super().limits(), **own}


@data.register("labelled")
@dataclass(eq=False)
class LabelledData(PairedRows):
    """Lines of a text, a tab and its class; `path` is a directory or one file.

    The text is the source, the class the target, which is one token. A text that comes with several
    classes is right with any of them.
    """

    default_tokenizers = MappingProxyType({"features": "whole", "target": "whole"})
    ends = False

    def target_tokens(self, text: str, tokenizers: Tokenizers, seed: int | None) -> Tensor:
        tokens = torch.from_numpy(tokenizers["target"].encode(text))
        if len(tokens) != 1:
            raise ValueError(f"a class must be one token, but {text!r} is {len(tokens)}")
        return tokens

    def unknown_targets(self, rows: Sequence[PairRow]) -> str:
        classes = sorted({row.target for row in rows})
        more = ", ..." if len(classes) > 5 else ""
        return f"with a class that training does not have: {', '.join(classes[:5])}{more}"

    def output_lengths(self, batch: Sources) -> Tensor:
        return torch.ones_like(batch.lengths)
