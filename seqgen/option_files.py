"""Option files: a YAML file as a dataclass of options, with the place of what is wrong in it."""

from __future__ import annotations

import copy
import difflib
import functools
import operator
from collections.abc import Sequence
from typing import Any, TypeVar

from seqgen.errors import RecipeError
from seqgen.options import (
    OptionError,
    Path,
    check_options,
    define_checkers,
    dotted,
    options_of,
    schema_of_options,
)
from seqgen.overrides import Override, lay_over, nearest
from seqgen.recipe_source import RecipeSource
from seqgen.registry import plain

T = TypeVar("T")


def checked(kind: type[T], source: RecipeSource, overrides: Sequence[Override], owner: str) -> T:
    """The options of `kind` that the file has, with the overrides laid over it.

    `owner` is what errors call such a file, as in "not an option of a recipe". Errors: RecipeError
    in one line with the place, be it in the file or in an override.
    """
    data = lay_over(source.document.data, overrides)
    try:
        return kind(**check_options(options_of(kind), data, (), owner))
    except OptionError as error:
        raise placed(with_place_meant(error, kind, data), source, overrides) from None


def with_place_meant(error: OptionError, kind: type[Any], data: Any) -> OptionError:
    """The error about a key that is not known with the place of the option that it may mean, if
    `data` has one elsewhere: for `lr` that is `train.lr`."""
    fault, rest = error, copy.deepcopy(data)
    for _ in range(8):  # others may be wrong as well
        if not fault.at_key:
            return error
        tree = functools.reduce(operator.getitem, fault.path[:-1], rest)
        if not isinstance(tree, dict) or fault.path[-1] not in tree:  # a part written as its name
            return error
        del tree[fault.path[-1]]
        try:
            whole = plain(kind(**check_options(options_of(kind), rest, (), "")))
        except OptionError as another:
            fault = another
            continue
        paths = leaves(whole)
        meant = [path for path in paths if path[-1] == error.path[-1]]
        if not meant and "did you mean" not in error.message:
            names = [str(path[-1]) for path in paths]
            near = difflib.get_close_matches(str(error.path[-1]), names, n=1, cutoff=0.8)
            meant = [path for path in paths if path[-1] in near]
        if meant:
            head, _, known = error.message.partition(" (")
            message = f"{head.partition(';')[0]}; did you mean '{dotted(meant[0])}'? ({known}"
            return OptionError(error.path, message, at_key=True)
        return error
    return error


def leaves(data: Any) -> list[Path]:
    """The paths of all options in plain `data`, the outer ones first; names of parts are none."""
    found: list[Path] = []
    level: list[tuple[Path, Any]] = [((), data)]
    while level:
        items = [((*path, key), each) for path, tree in level for key, each in tree.items()]
        found += [path for path, _ in items if path[-1] != "name"]
        level = [(path, each) for path, each in items if isinstance(each, dict)]
    return found


def placed(error: OptionError, source: RecipeSource, overrides: Sequence[Override]) -> RecipeError:
    """The error with the place that its path has: the override that set it, or file:line:column.

    Where an override changed a part of what is wrong, both are named: either may be at fault.
    """
    message = f"{dotted(error.path)}: {error.message}" if error.path else error.message
    if error.first is not None:
        message += f"; the first is {_where(error.first, source, overrides)}"
    override = _that_set(error.path, overrides)
    if override:
        place = override.place(error.path, at_key=error.at_key)
        return RecipeError(f"{place}: {message}")
    document = source.document
    marks = document.keys if error.at_key else document.values
    inside = [each for each in overrides if each.path[: len(error.path)] == error.path]
    if error.path and inside:
        if error.path not in marks:  # an override made this path
            return RecipeError(f"{inside[-1]}: {message}")
        message += f" (with {' and '.join(str(each) for each in inside)})"
    mark = nearest(marks, error.path) or document.values[()]
    return RecipeError(f"{source.name}:{mark.line}:{mark.column}: {message}")


def schema_of_file(kind: type[Any], title: str) -> dict[str, Any]:
    """The JSON Schema of files that become a `kind`, for editors."""
    options = options_of(kind)
    definitions: dict[str, Any] = {}
    define_checkers(options, definitions)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": title,
        **schema_of_options(options),
        "$defs": definitions,
    }


def _where(path: Path, source: RecipeSource, overrides: Sequence[Override]) -> str:
    """Where something is that is right: `at 9:5`, or `that of --set p=1`."""
    override = _that_set(path, overrides)
    if override:
        return f"that of {override.place(path)}"
    mark = nearest(source.document.values, path) or source.document.values[()]
    return f"at {mark.line}:{mark.column}"


def _that_set(path: Path, overrides: Sequence[Override]) -> Override | None:
    """The override that holds for `path`, if one does."""
    return next((each for each in reversed(overrides) if path[: len(each.path)] == each.path), None)
