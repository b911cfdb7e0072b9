"""Tables of texts: TSV, CSV and JSON lines, with or without a header, and files in parallel."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Literal, NamedTuple

from seqgen.data.text_files import PACKED_SUFFIXES, TextFile
from seqgen.errors import DataError
from seqgen.options import did_you_mean

Format = Literal["auto", "tsv", "csv", "jsonl"]
Header = Literal["auto"] | bool
Place = int | str
"""A column: its number, from 1, or its name in the header."""

SKIPPED = "_"
"""The name of a column that is not read."""

_JSON_LINES = (".jsonl", ".ndjson", ".json")
_SEPARATED = {",": " as CSV", ";": " as CSV with semicolons", "\t": " as CSV with tabs"}
_USUAL_NAMES = re.compile(
    "source|target|src|tgt|features|text|label|labels|class|category|words?|tokens?|tags?|u?pos|xpos"
    "|form|lemma|id|index|input|output|sentence|question|answer|lang|language|pronunciation|phonemes"
    "|category|name|title|review|sentiment|english|french|german|spanish|italian|portuguese|dutch|russian"
    "|chinese|japanese|korean|arabic|hindi|turkish|polish|czech"
)
"""What columns are usually called: a first row of nothing else is a header."""


class Row(NamedTuple):
    """The number of the line in which a row begins, and its texts; a blank line has none."""

    line: int
    texts: tuple[str, ...]


@dataclass(frozen=True)
class Layout:
    """What the columns of a table contain.

    `columns` are what is read in the order of the table, `_` for a column that is not, or a mapping
    from what is read to a column's number, from 1, or its name. `format: auto` goes by the file's
    name (.csv, .jsonl, .ndjson, .json; else TSV), `header: auto` takes a first row for a header if
    its texts are all usual names of columns. Raises ValueError if the options do not go together.
    """

    columns: Sequence[str] | Mapping[Any, Place]
    format: Format = "auto"
    header: Header = "auto"

    def __post_init__(self) -> None:
        if self.named and self.header is False:
            raise ValueError("`header` must not be false where `columns` names columns")
        for place in self.places:
            if not place or (isinstance(place, int) and place < 0):
                raise ValueError(f"`columns` must be numbers from 1 or names, but has {place!r}")

    @property
    def places(self) -> Sequence[Place]:
        """Where the columns are, if a mapping says so."""
        return [*self.columns.values()] if isinstance(self.columns, Mapping) else []

    @property
    def read(self) -> tuple[str, ...]:
        """What is read, in the order of a row's texts."""
        return tuple(column for column in self.columns if column != SKIPPED)

    @property
    def named(self) -> bool:
        """Whether columns are found by names that only a header can have."""
        return any(isinstance(each, str) for each in self.places)

    def format_of(self, name: str) -> Format:
        """The format of the file `name`."""
        return format_of(name) if self.format == "auto" else self.format

    def is_json(self, file: TextFile, name: str) -> bool:
        """Whether the rows of a file are JSON objects, or as such."""
        return file.records is not None or self.format_of(name) == "jsonl"

    def is_header(self, first: Sequence[str]) -> bool:
        """Whether the first row is a header."""
        if self.header != "auto" or self.named:
            return self.named or self.header is True
        names = _names(first)
        return 1 < len(names) == len(set(names)) and all(map(_USUAL_NAMES.fullmatch, names))


def format_of(name: str) -> Format:
    """The format of a table, by the name of its file."""
    path = Path(name)
    suffix = Path(path.stem).suffix if path.suffix in PACKED_SUFFIXES else path.suffix
    if suffix.lower() in _JSON_LINES:
        return "jsonl"
    return "csv" if suffix.lower() == ".csv" else "tsv"


def lines_of(text: str) -> list[str]:
    r"""The lines of `text`, which end at `\n`; there is none after the last `\n`."""
    lines = text.split("\n")
    return lines if lines[-1] else lines[:-1]


def read_table(
    file: TextFile,
    name: str,
    layout: Layout,
    miscounted: Callable[[Sequence[str], int], str] = lambda cells, count: "",
) -> tuple[list[Row], str]:
    """The rows of a text, each with the texts that `layout` reads, and a note on how it was read; a
    blank line has no texts.

    In TSV nothing is quoted, and spaces belong to the texts. In CSV a quoted text may have commas
    and line ends in it. `miscounted` may word the error for a row of another number of columns.
    Raises DataError, with the line, if the text is no such table.
    """
    form = layout.format_of(name)
    if layout.is_json(file, name):
        said = file.records is not None or layout.format == form
        note = "" if said else f"{name}: read as JSON lines"
        return [Row(*each) for each in json_rows(file, name, layout, str)], note
    if form == "csv":
        whole = iter([*_csv_rows(file.text, name)])
    else:
        lines = enumerate(lines_of(file.text), 1)
        whole = (Row(number, tuple(line.split("\t")) if line else ()) for number, line in lines)
    rows, first = [], Row(0, ())
    for first in whole:
        if first.texts:
            break
        rows.append(first)
    else:
        return rows, ""
    header = layout.is_header(first.texts)
    places, count = _places(first, name, layout, header)
    rows, whole = ([], whole) if header else (rows, chain([first], whole))
    every = places == [*range(count)]
    for row in whole:
        line, cells = row
        blank = len(cells) == 1 and not cells[0].strip(" ") and len(layout.read) > 1
        if not cells or blank:
            rows.append(Row(line, ()))
            continue
        if len(cells) != count:
            columns = first.texts if header else [*layout.columns]
            fault = miscounted(cells, count) or _miscounted(cells, count, columns, form)
            raise DataError(f"{name}:{line}: {fault}")
        rows.append(row if every else Row(line, tuple(cells[place] for place in places)))
    kind = _SEPARATED[_delimiter(file.text)] if form == "csv" and layout.format == "auto" else ""
    return rows, _note(first, name, layout, header, kind)


def parse_table(file: TextFile, name: str, layout: Layout) -> tuple[list[Row], str]:
    """Like `read_table`, but blank lines are rows of empty texts, and there must be a row that is
    not. Raises DataError."""
    found, note = read_table(file, name, layout)
    rows = [row if row.texts else Row(row.line, ("",) * len(layout.read)) for row in found]
    if not any(any(row.texts) for row in rows):
        lines = len(lines_of(file.text))
        header = " but the header" if lines > len(rows) else ""
        number = f"{lines} line{'s' if lines > 1 else ''}"
        blank = f"{number}, all of them empty{header}" if lines else "an empty file"
        raise DataError(f"{name}: no rows in it ({blank})")
    return rows, note


def parse_parallel(files: Sequence[tuple[TextFile, str]], layout: Layout) -> list[Row]:
    """The rows of named files in parallel, one a column: line n of each is row n. If `header` is
    true the first line of each is no row.

    Raises DataError as `parse_table`, and if the files do not have as many lines.
    """
    columns, header = [*layout.columns], layout.header is True
    if len(files) != len(columns):
        names = ", ".join(name for _, name in files)
        raise DataError(f"{names}: {len(files)} files in parallel, but {len(columns)} columns")
    read = [each for column, each in zip(columns, files, strict=True) if column != SKIPPED]
    tables = [
        parse_table(file, name, Layout((column,), "tsv", header))[0]
        for column, (file, name) in zip(layout.read, read, strict=True)
    ]
    counts = [len(rows) for rows in tables]
    if len(set(counts)) > 1:
        found = zip(counts, read, strict=True)
        said = " and ".join(f"{count} lines in {name}" for count, (_, name) in found)
        raise DataError(f"files in parallel must have as many lines, but there are {said}")
    return [
        Row(together[0].line, tuple(row.texts[0] for row in together))
        for together in zip(*tables, strict=True)
    ]


def json_rows(
    file: TextFile, name: str, layout: Layout, wanted: type
) -> Iterator[tuple[int, tuple[Any, ...]]]:
    """The values of each object, `wanted` being str or list (of texts); a blank line has none."""
    named = layout.columns if isinstance(layout.columns, Mapping) else {r: r for r in layout.read}
    keys = [*map(str, named.values())]
    for number, found in enumerate(file.records(keys) if file.records else (), 1):
        yield number, tuple(_json_value(found, key, f"{name}:{number}", wanted) for key in keys)
    for number, line in enumerate(lines_of(file.text), 1):
        place = f"{name}:{number}"
        if not line.strip():
            yield number, ()
            continue
        try:
            found = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{place}: not JSON: {' '.join(str(error).split())}") from None
        if not isinstance(found, dict):
            what = "the lines of a JSON list" if line.startswith("[") else type(found).__name__
            raise DataError(f"{place}: must be an object, {{...}}, on each line, but is {what}")
        yield number, tuple(_json_value(found, key, place, wanted) for key in keys)


def some_lines(numbers: Sequence[int]) -> str:
    """`line 3`, or `lines 3, 7, 12, 20, 31, ...`: the first few of them."""
    first = ", ".join(map(str, numbers[:5])) + (", ..." if len(numbers) > 5 else "")
    return f"line{'s' if len(numbers) > 1 else ''} {first}"


def _csv_rows(text: str, name: str) -> Iterator[Row]:
    lines = (line + "\n" for line in lines_of(text))
    reader = csv.reader(lines, delimiter=_delimiter(text), strict=True)
    begin = 1
    try:
        for cells in reader:
            yield Row(begin, tuple(cells))
            begin = reader.line_num + 1
    except csv.Error as error:
        raise DataError(f"{name}:{begin}: not CSV: {error}") from None


def _delimiter(text: str) -> str:
    """A comma; if the first line has none, a semicolon or a tab if it has that."""
    first = next(filter(None, lines_of(text)), "")
    return next((sign for sign in ",;\t" if sign in first), ",")


def _json_value(found: Mapping[str, Any], key: str, place: str, wanted: type) -> Any:
    """A text, or a list of texts; an integer, as labels often are, is the text of it."""
    if key not in found:
        raise DataError(f"{place}: has no {key!r}{_instead(key, [*found])}")
    value = found[key]
    if wanted is str and type(value) is int:
        return str(value)
    texts = value if type(value) is list and wanted is list else [value]
    if type(value) is wanted and all(type(each) is str for each in texts):
        return value
    kind = "a text" if wanted is str else "a list of texts"
    raise DataError(f"{place}: {key!r} must be {kind}, but is {json.dumps(value)[:40]}")


def _names(cells: Sequence[str]) -> list[str]:
    return [cell.strip().casefold() for cell in cells]


def _instead(key: str, names: Sequence[str]) -> str:
    """What a missing column may be called, and the option that says so."""
    near, some = did_you_mean(key, names), ", ".join(map(str, names[:8]))
    return f"{near}; there are {some} (data.columns={{source: NAME, ...}} says which are read)"


def _places(first: Row, name: str, layout: Layout, header: bool) -> tuple[list[int], int]:
    """Where in a row the texts that are read stand, and how many columns it has.

    Raises DataError if the first row, which may be a header, lacks one.
    """
    line, cells = first
    if not isinstance(layout.columns, Mapping):
        names = _names(cells) if header else []
        if set(layout.read) <= set(names):
            return [_place_of(each, cells, f"{name}:{line}") for each in layout.read], len(cells)
        columns = [*layout.columns]
        if header and len(columns) != len(cells):
            missing = next(each for each in layout.read if each not in names)
            raise DataError(f"{name}:{line}: no column {missing!r}{_instead(missing, cells)}")
        return [i for i, column in enumerate(columns) if column != SKIPPED], len(columns)
    return [_place_of(each, cells, f"{name}:{line}") for each in layout.places], len(cells)


def _place_of(column: Place, cells: Sequence[str], place: str) -> int:
    """Where the column of this name or number is. Raises DataError if there is not one of it."""
    if isinstance(column, int):
        if column > len(cells):
            raise DataError(f"{place}: no column {column}: there are {len(cells)}")
        return column - 1
    names, wanted = _names(cells), column.strip().casefold()
    if wanted not in names:
        raise DataError(f"{place}: no column {column!r}{_instead(column, cells)}")
    if names.count(wanted) > 1:
        raise DataError(f"{place}: {names.count(wanted)} columns are called {column!r}")
    return names.index(wanted)


def _note(first: Row, name: str, layout: Layout, header: bool, kind: str) -> str:
    """What was recognised that no option says: the `kind` of table, and its header."""
    line, cells = first
    row = ", ".join(cells[:8])
    if layout.header != "auto" or layout.named:
        return f"{name}: read{kind}" if kind else ""
    if header:
        what = f"with a header ({row}), not a row; header: false reads it as a row"
        return f"{name}:{line}: read{kind} {what}"
    return f"{name}: read{kind}, without a header; header: true if {row!r} is one" if kind else ""


def _miscounted(cells: Sequence[str], count: int, columns: Sequence[str], form: Format) -> str:
    """What is wrong with a row that does not have `count` columns."""
    found, text = len(cells), cells[0]
    names = f" ({', '.join(columns)})" if len(columns) == count else ""
    said = f"{found} column{'s' if found > 1 else ''} instead of {count}{names}"
    if form == "csv":
        return said
    tabs = {0: "there is no tab", 1: "there is 1 tab"}.get(found - 1, f"there are {found - 1} tabs")
    hint = ""
    if found == 1 and text.startswith("{") and text.endswith("}"):
        hint = " (data.format=jsonl reads JSON lines)"
    elif found == 1 and count > 1 and text.count(",") + 1 == count:
        hint = " (data.format=csv reads CSV)"
    return f"{said}: {tabs}{hint}"
