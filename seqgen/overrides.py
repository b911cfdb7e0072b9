"""Overrides of a recipe from the command line, `train.lr=3e-3`: reading and laying them over."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from seqgen.errors import RecipeError
from seqgen.options import Path
from seqgen.yaml_loader import parse_value


@dataclass(frozen=True)
class Override:
    """`text` as it was typed, the path it names and the value it gives.

    `label` is what an error calls it, such as `--set`.
    """

    text: str
    path: Path
    value: object
    label: str = "override"

    def __str__(self) -> str:
        return f"{self.label} {self.text}"


def read_override(text: str, label: str = "override") -> Override:
    """Split `a.b.c=value`; the value is YAML. Errors: RecipeError that names the override."""
    key, equals, value = text.partition("=")
    if not equals:
        raise RecipeError(f"{label} {text}: must be of the form key=value")
    if not all(key.strip().split(".")):
        raise RecipeError(f"{label} {text}: no key; it must be of the form model.cell.layers=2")
    if not value.strip():
        raise RecipeError(f"{label} {text}: no value; null means none")
    try:
        parsed = parse_value(value)
    except ValueError as error:
        raise RecipeError(f"{label} {text}: {error}") from None
    return Override(text, path_of(key), parsed, label)


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
    _put(tree, last, override.value, override)


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
