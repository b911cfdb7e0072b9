"""Rows with a source and a target: their columns, what is empty in them, and examples of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from seqgen.data.base import Example
from seqgen.data.files import TextFile
from seqgen.data.rows import Layout, Place, parse_parallel, parse_table, some_lines
from seqgen.data.text_changes import TextChange, changed
from seqgen.errors import DataError

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
