"""Rows: tables of texts, one row a line, and how they are divided into parts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

import numpy as np

from seqgen.data.files import TextFile
from seqgen.errors import DataError

T = TypeVar("T")

SKIPPED = "_"
"""The name of a column that is there and not read."""


class Row(NamedTuple):
    """The texts of a row, by the columns that are read, and the number of its line."""

    line: int
    texts: tuple[str, ...]


def lines_of(text: str) -> list[str]:
    r"""The lines of `text`, which end at `\n`; behind the last `\n` is none."""
    lines = text.split("\n")
    if not lines[-1]:
        lines.pop()
    return lines


def parse_table(file: TextFile, name: str, columns: Sequence[str]) -> list[Row]:
    """The rows of a text with a tab between two columns; a column called `_` is skipped.

    Nothing is quoted, and spaces belong to the texts. An empty line is a row of empty texts.

    Errors: DataError where there is no row, or a row has another number of columns.
    """
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
    return rows


def parse_parallel(
    files: Sequence[TextFile], names: Sequence[str], columns: Sequence[str]
) -> list[Row]:
    """The rows of texts in parallel, one for each column: line n of each of them is row n.

    Errors: DataError as for a table, and where the texts do not have as many lines.
    """
    read = [i for i, column in enumerate(columns) if column != SKIPPED]
    tables = [parse_table(files[i], names[i], [columns[i]]) for i in read]
    if len({len(rows) for rows in tables}) > 1:
        counts = [f"{len(rows)} lines in {names[i]}" for i, rows in zip(read, tables, strict=True)]
        found = " and ".join(counts)
        raise DataError(f"files in parallel must have as many lines, but there are {found}")
    return [
        Row(together[0].line, tuple(row.texts[0] for row in together))
        for together in zip(*tables, strict=True)
    ]


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


def some_lines(numbers: Sequence[int]) -> str:
    """`line 3`, or `lines 3, 7, 12, 20, 31, ...`: the first few of them."""
    first = ", ".join(map(str, numbers[:5])) + (", ..." if len(numbers) > 5 else "")
    return f"line{'s' if len(numbers) > 1 else ''} {first}"


def _miscounted(found: int, columns: Sequence[str]) -> str:
    tabs = {0: "there is no tab", 1: "there is 1 tab"}.get(found - 1, f"there are {found - 1} tabs")
    needed = f"{len(columns)} ({', '.join(columns)})"
    return f"{found} column{'s' if found > 1 else ''} instead of {needed}: {tabs}"
