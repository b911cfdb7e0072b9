"""The recipes and plans that come along, by bare name; light enough for a shell's completion."""

from __future__ import annotations

import copy
import difflib
import functools
import operator
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from seqgen.errors import RecipeError
from seqgen.files import OPTIONS_LIMIT, read_bytes
from seqgen.options import (
    KeyPath,
    OptionError,
    check_options,
    define_checkers,
    did_you_mean,
    dotted,
    options_of,
    schema_of_options,
)
from seqgen.registry import plain
from seqgen.yaml_io import Document, Mark, load_document, parse_value

PLANS = "compare"
"""The folder among the recipes that has plans, of what to compare, and no recipes."""


def known_recipes() -> dict[str, Path]:
    """The recipes that come with seqgen, by bare name such as `lectures/char_lstm_cell`."""
    return {name: path for name, path in _files().items() if not name.startswith(f"{PLANS}/")}


def known_plans() -> dict[str, Path]:
    """The plans of comparisons that come with seqgen, by bare name such as `language_model`."""
    start = f"{PLANS}/"
    files = _files().items()
    return {name.removeprefix(start): path for name, path in files if name.startswith(start)}


def _files() -> dict[str, Path]:
    package = Path(__file__).parent
    # An installed package holds them inside; in a clone they stand beside the package.
    folder = next(
        (each for each in (package / "recipes", package.parent / "recipes") if each.is_dir()), None
    )
    if folder is None:
        return {}
    paths = sorted(folder.rglob("*.yaml"))
    return {path.relative_to(folder).with_suffix("").as_posix(): path for path in paths}


# Overrides of a recipe from the command line, `train.lr=3e-3`: reading and laying them over.
#
# `model.cell=@cell.yaml` takes the value from a file. No YAML value begins with @ unless it is
# quoted, so none can be meant.


@dataclass(frozen=True)
class Override:
    """`text` as it was typed, the path it names and the value it gives.

    `label` is what an error calls it, such as `--set`. `file` and `places` say which file the value
    comes from, if any, and where in it things are.
    """

    text: str
    path: KeyPath
    value: object
    label: str = "override"
    file: str = ""
    places: Document | None = field(default=None, compare=False, repr=False)

    def place(self, path: KeyPath, *, at_key: bool = False) -> str:
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
        content = read_bytes(Path(name), RecipeError, limit=OPTIONS_LIMIT, wanted="a YAML file")
    except RecipeError as error:
        hint = f"(@ names a file; quote a string: '\"@{name}\"')"
        raise RecipeError(f"{whole}: {error} {hint}") from None
    return load_document(content, name, mapping=False)


def nearest(marks: Mapping[KeyPath, Mark], path: KeyPath) -> Mark | None:
    """The mark of the longest part of `path` that has one."""
    parts = (path[:length] for length in range(len(path), -1, -1))
    return next((marks[part] for part in parts if part in marks), None)


def path_of(key: str) -> KeyPath:
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


# Recipe and plan files: finding one by path or by name, and reading it as plain data.


@dataclass(frozen=True)
class RecipeSource:
    """A recipe or plan as it is written: what errors call it, its folder, its data with places."""

    name: str
    folder: Path
    document: Document

    @classmethod
    def read(cls, path: Path) -> RecipeSource:
        """Read the file at `path`. Errors: RecipeError."""
        content = read_bytes(path, RecipeError, limit=OPTIONS_LIMIT, wanted="a YAML file")
        return cls(str(path), path.parent, load_document(content, str(path)))


def find_recipe(wanted: str) -> Path:
    """The recipe file that `wanted` means: a path, or the bare name of a recipe that comes along.

    Errors: RecipeError with a suggestion.
    """
    return find_file(wanted, known_recipes(), "recipe")


def find_file(wanted: str, known: Mapping[str, Path], kind: str) -> Path:
    """The file of a `kind` that `wanted` means: a path, or one of those `known` by name.

    Errors: RecipeError with a suggestion.
    """
    if os.path.lexists(wanted):  # unlike Path.exists, it takes a name of any length
        if Path(wanted, "recipe.yaml").is_file():
            made_by = f"that of the run is {Path(wanted, 'recipe.yaml')}"
            raise RecipeError(f"{wanted}: this is a run and no {kind}; {made_by}")
        return Path(wanted)
    if wanted in known:
        return known[wanted]
    if kind == "recipe" and wanted in known_plans():
        raise RecipeError(
            f"{wanted}: no such recipe; it is a plan (seqgen compare RUN --plan {wanted})"
        )
    if kind == "plan" and wanted in known_recipes():
        raise RecipeError(f"{wanted}: no such plan; it is a recipe (seqgen run {wanted})")
    near = did_you_mean(wanted.removesuffix(".yaml").split("recipes/")[-1], known)
    raise RecipeError(f"{wanted}: no such {kind}{near} (a path, or one of {', '.join(known)})")


# Option files: a YAML file as a dataclass of options, with the place of what is wrong in it.


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


def leaves(data: Any) -> list[KeyPath]:
    """The paths of all options in plain `data`, the outer ones first; names of parts are none."""
    found: list[KeyPath] = []
    level: list[tuple[KeyPath, Any]] = [((), data)]
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


def _where(path: KeyPath, source: RecipeSource, overrides: Sequence[Override]) -> str:
    """Where something is that is right: `at 9:5`, or `that of --set p=1`."""
    override = _that_set(path, overrides)
    if override:
        return f"that of {override.place(path)}"
    mark = nearest(source.document.values, path) or source.document.values[()]
    return f"at {mark.line}:{mark.column}"


def _that_set(path: KeyPath, overrides: Sequence[Override]) -> Override | None:
    """The override that holds for `path`, if one does."""
    return next((each for each in reversed(overrides) if path[: len(each.path)] == each.path), None)
