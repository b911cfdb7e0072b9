"""Rows: reading tables of texts, one row a line, and dividing them into parts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, TypeVar

import numpy as np

from seqgen.data.files import TextFile, read_text
from seqgen.errors import DataError

T = TypeVar("T")

SKIPPED = "_"
"""The name of a column that is there and not read."""


class Row(NamedTuple):
    """The texts of a row, by the columns that are read, and the number of its line."""

    line: int
    texts: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """What was read: its name for messages, its rows, and the SHA-256 of each file."""

    name: str
    rows: list[Row]
    sha256: dict[str, str]


def lines_of(text: str) -> list[str]:
    r"""The lines of `text`, which end at `\n`; behind the last `\n` is none."""
    lines = text.split("\n")
    if not lines[-1]:
        lines.pop()
    return lines


def read_table(
    path: Path, columns: Sequence[str], errors: Literal["strict", "replace"] = "strict"
) -> Table:
    """A UTF-8 file with a tab between two columns; a column called `_` is skipped.

    Nothing is quoted, and spaces belong to the texts. An empty line is a row of empty texts.

    Errors: DataError where the file cannot be read, has no row, or a row has another number of
    columns.
    """
    return parse_table(read_text(path, errors), str(path), columns)


def parse_table(file: TextFile, name: str, columns: Sequence[str]) -> Table:
    """The table in a text that is read already; see `read_table`."""
    read = [i for i, column in enumerate(columns) if column != SKIPPED]
    rows = []
    for number, line in enumerate(lines_of(file.text), 1):
        cells = line.split("\t") if line else [""] * len(columns)
        if len(cells) != len(columns):
            raise DataError(f"{name}:{number}: {_miscounted(len(cells), columns)}")
        rows.append(Row(number, tuple(cells[i] for i in read)))
    if not any(any(row.texts) for row in rows):
        blank = f"{len(rows)} lines, all of them empty" if rows else "an empty file"
        raise DataError(f"{name}: no rows in it ({blank})")
    return Table(name, rows, {name: file.sha256})


def read_parallel(
    paths: Sequence[Path], columns: Sequence[str], errors: Literal["strict", "replace"] = "strict"
) -> Table:
    """Files in parallel, one for each column: line n of each of them is row n.

    Errors: DataError as for a table, and where the files do not have as many lines; ValueError
    for another number of files.
    """
    if len(paths) != len(columns):
        needed = f"{len(columns)} files, one for each column"
        raise ValueError(f"`paths` must be {needed}, but is {len(paths)} files")
    read = [i for i, column in enumerate(columns) if column != SKIPPED]
    tables = [read_table(paths[i], [columns[i]], errors) for i in read]
    counts = [len(table.rows) for table in tables]
    if len(set(counts)) > 1:
        found = " and ".join(f"{n} lines in {t.name}" for n, t in zip(counts, tables, strict=True))
        raise DataError(f"files in parallel must have as many lines, but there are {found}")
    rows = [
        Row(together[0].line, tuple(row.texts[0] for row in together))
        for together in zip(*(table.rows for table in tables), strict=True)
    ]
    hashes = {name: sha for table in tables for name, sha in table.sha256.items()}
    return Table(_names([Path(table.name) for table in tables]), rows, hashes)


def divided(
    rows: Sequence[T], shares: Sequence[float], seed: int, key: Callable[[T], object]
) -> list[list[T]]:
    """The rows in parts, each of its share of the different keys, drawn from `seed`.

    Rows with the same key stay together, and in their order. The draw depends on the keys in the
    order in which they first appear, and on nothing else.
    """
    keys = list(dict.fromkeys(map(key, rows)))
    drawn = np.random.default_rng(seed).permutation(len(keys))
    ends = np.rint(np.cumsum(shares) * len(keys)).astype(int)
    parts = np.searchsorted(ends, np.arange(len(keys)), side="right")
    part_of = {keys[place]: int(part) for place, part in zip(drawn, parts, strict=True)}
    return [[row for row in rows if part_of[key(row)] == part] for part in range(len(shares))]


def _miscounted(found: int, columns: Sequence[str]) -> str:
    tabs = {0: "there is no tab", 1: "there is 1 tab"}.get(found - 1, f"there are {found - 1} tabs")
    needed = f"{len(columns)} ({', '.join(columns)})"
    return f"{found} column{'s' if found > 1 else ''} instead of {needed}: {tabs}"


def _names(paths: Sequence[Path]) -> str:
    return ", ".join(map(str, paths))
