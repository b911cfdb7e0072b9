"""Overrides of a recipe from the command line, `train.lr=3e-3`: reading and laying them over.

`model.cell=@cell.yaml` takes the value from a file. No YAML value begins with @ unless it is
quoted, so none can be meant.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any

from seqgen.errors import RecipeError
from seqgen.files import OPTIONS_LIMIT, read_bytes
from seqgen.options import Path
from seqgen.yaml_loader import Document, Mark, load_document, parse_value


@dataclass(frozen=True)
class Override:
    """`text` as it was typed, the path it names and the value it gives.

    `label` is what an error calls it, such as `--set`. `file` and `places` say which file the value
    comes from, if any, and where in it things are.
    """

    text: str
    path: Path
    value: object
    label: str = "override"
    file: str = ""
    places: Document | None = field(default=None, compare=False, repr=False)

    def place(self, path: Path, *, at_key: bool = False) -> str:
        """What an error about `path` begins with: the place in the file of the value, if it has
        one, else the override itself."""
        if self.places is None:
            return str(self)
        marks = self.places.keys if at_key else self.places.values
        mark = nearest(marks, path[len(self.path) :]) or self.places.values.get((), Mark(1, 1))
        return f"{self.file}:{mark.line}:{mark.column}"

    def __str__(self) -> str:
        return f"{self.label} {self.text}"


def read_override(text: str, label: str = "override") -> Override:
    """Split `a.b.c=value`; the value is YAML, or @ and the path of a YAML file.

    Errors: RecipeError that names the override, or the place in the file.
    """
    key, equals, value = text.partition("=")
    if not equals:
        raise RecipeError(f"{label} {text}: must be of the form key=value")
    if not all(key.strip().split(".")):
        raise RecipeError(f"{label} {text}: no key; it must be of the form model.cell.layers=2")
    if not value.strip():
        raise RecipeError(f"{label} {text}: no value; null means none")
    if value.strip().startswith("@"):
        name = value.strip().removeprefix("@")
        places = read_value_file(name, f"{label} {text}")
        return Override(text, path_of(key), places.data, label, name, places)
    try:
        parsed = parse_value(value)
    except ValueError as error:
        raise RecipeError(f"{label} {text}: {error}") from None
    return Override(text, path_of(key), parsed, label)


def read_value_file(name: str, whole: str) -> Document:
    """The content of the YAML file that `@name` means; `whole` is all that was typed.

    Errors: RecipeError.
    """
    try:
        content = read_bytes(FilePath(name), RecipeError, limit=OPTIONS_LIMIT, wanted="a YAML file")
    except RecipeError as error:
        hint = f"(@ names a file; quote a string: '\"@{name}\"')"
        raise RecipeError(f"{whole}: {error} {hint}") from None
    return load_document(content, name, mapping=False)


def nearest(marks: Mapping[Path, Mark], path: Path) -> Mark | None:
    """The mark of the longest part of `path` that has one."""
    parts = (path[:length] for length in range(len(path), -1, -1))
    return next((marks[part] for part in parts if part in marks), None)


def path_of(key: str) -> Path:
    """`model.cells.0.name` as a path; steps that are numbers are places in lists."""
    return tuple(int(step) if _is_index(step) else step for step in key.strip().split("."))


def lay_over(data: object, overrides: Sequence[Override]) -> Any:
    """A copy of `data` with the overrides in it; the last one for a path holds.

    A part that is written as its name becomes a mapping where an override names one of its
    options: `cell: lstm` and `model.cell.layers=2` give `cell: {name: lstm, layers: 2}`.
    """
    result = copy.deepcopy(data)
    for override in overrides:
        _set(result, override)
    return result


def _set(tree: Any, override: Override) -> None:
    *way, last = override.path
    for step in way:
        child = _child(tree, step, override)
        if isinstance(child, str):
            child = {"name": child}
        elif child is None:
            child = {}
        _put(tree, step, child, override)
        tree = child
    _put(tree, last, copy.deepcopy(override.value), override)


def _child(tree: Any, step: str | int, override: Override) -> Any:
    if isinstance(tree, dict):
        return tree.get(str(step))
    if isinstance(tree, list) and isinstance(step, int) and step < len(tree):
        return tree[step]
    raise _no_place(step, override)


def _put(tree: Any, step: str | int, value: object, override: Override) -> None:
    if isinstance(tree, dict):
        tree[str(step)] = value
    elif isinstance(tree, list) and isinstance(step, int) and step < len(tree):
        tree[step] = value
    else:
        raise _no_place(step, override)


def _no_place(step: str | int, override: Override) -> RecipeError:
    return RecipeError(f"{override}: there is no place for '{step}'")


def _is_index(step: str) -> bool:
    return step.isascii() and step.isdecimal() and len(step) < 10
