"""Data sets of Hugging Face that are on disk, as `save_to_disk` wrote them: rows, or one long text.

Their files are mapped into memory, and blocks of rows are read as they are needed.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from itertools import accumulate
from pathlib import Path
from typing import Any

from seqgen.data.text_files import TextFile
from seqgen.errors import DataError
from seqgen.files import display_path, sha256
from seqgen.tokenizers import LongText

BLOCK = 1000
"""Rows that are read at once."""

TEXT_COLUMN = "text"


def is_data_set(path: Path) -> bool:
    """Whether `path` is the folder of one split."""
    return all((path / name).is_file() for name in ("state.json", "dataset_info.json"))


def is_divided(path: Path) -> bool:
    """Whether `path` is a folder with a folder for each split."""
    return (path / "dataset_dict.json").is_file()


def read_data_set(path: Path) -> TextFile:
    """The rows of a split as records, in which a class has its name. Raises DataError, in one line,
    if it is damaged or `datasets` is not installed."""
    rows = _load(path)
    names = {name: _class_names(feature) for name, feature in rows.features.items()}

    def records(keys: Sequence[str]) -> Iterator[Mapping[str, Any]]:
        if not set(keys) <= names.keys():
            yield dict.fromkeys(names)
            return
        for block in _blocks(rows, path, [name for name in names if name in keys]):
            for values in zip(*block.values(), strict=True):
                row = zip(block, values, strict=True)
                yield {name: _named(value, names[name]) for name, value in row}

    return TextFile("", _hash(path), records=records if len(rows) else None)


def long_column(path: Path) -> tuple[LongText, str]:
    r"""The column `text` of a split, or its only column of texts, as one text, and the SHA-256.

    Each row ends in `\n`, which is put there if it does not. Raises DataError as `read_data_set`.
    """
    rows, name = _load(path), display_path(path)
    texts = [key for key, each in rows.features.items() if str(getattr(each, "dtype", "")) == _TEXT]
    column = TEXT_COLUMN if TEXT_COLUMN in texts or len(texts) != 1 else texts[0]
    if column not in texts:
        found = ", ".join(rows.features)
        raise DataError(f"{name}: has no column '{TEXT_COLUMN}' of texts; there are {found}")

    def blocks(first: int) -> Iterator[str]:
        begin = first * BLOCK
        for block in _blocks(rows, path, [column], begin):
            for place, text in enumerate(block[column], begin + 1):
                if text is None:
                    raise DataError(f"{name}:{place}: '{column}' must be a text, but is null")
            joined = "".join(text if text.endswith("\n") else text + "\n" for text in block[column])
            yield joined.replace("\r\n", "\n").replace("\r", "\n")
            begin += BLOCK

    places = [0, *accumulate(map(len, blocks(0)))]

    def read(place: int) -> Iterator[str]:
        first = min(bisect_right(places, place) - 1, len(places) - 1)
        skipped = place - places[first]
        for text in blocks(first):
            yield text[skipped:]
            skipped = 0

    return LongText(read, places[-1]), _hash(path)


_TEXT = "string"


def _load(path: Path) -> Any:
    if find_spec("datasets") is None:
        what = "this is a Hugging Face data set; pip install 'seqgen-toolkit[hf]' lets seqgen"
        raise DataError(f"{display_path(path)}: {what} read it")
    try:
        return import_module("datasets").load_from_disk(str(path)).with_format(None)
    except Exception as error:  # each layer of it has errors of its own
        raise _damaged(path, error) from None


def _blocks(
    rows: Any, path: Path, columns: Sequence[str], first: int = 0
) -> Iterator[Mapping[str, Sequence[Any]]]:
    """The values of some columns, block by block from row `first` on."""
    chosen = rows.select_columns([*columns])
    for begin in range(first, len(rows), BLOCK):
        try:
            block = chosen[begin : begin + BLOCK]
        except Exception as error:
            raise _damaged(path, error) from None
        yield block


def _damaged(path: Path, error: Exception) -> DataError:
    reason = " ".join(str(error).split()) or type(error).__name__
    return DataError(f"{display_path(path)}: this data set cannot be read: {reason}")


def _class_names(feature: Any) -> Sequence[str] | None:
    """The names of the classes of a column, or of those in its lists; None if it has none."""
    inner = getattr(feature, "feature", feature)
    names: Sequence[str] | None = getattr(inner, "names", None)
    return names


def _named(value: Any, names: Sequence[str] | None) -> Any:
    """`value` with names in the place of classes; one that has none, as -1 often is, stays."""
    if names is None or value is None:
        return value
    if isinstance(value, list):
        return [_named(each, names) for each in value]
    return names[value] if 0 <= value < len(names) else value


def _hash(path: Path) -> str:
    """That of the files with the rows and of the one that says what they are."""
    files = sorted([*path.glob("*.arrow"), path / "dataset_info.json"])
    lines = (f"{each.name}:{sha256(each, DataError)}" for each in files)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
