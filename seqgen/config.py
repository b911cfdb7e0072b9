"""Recipe and plan files: finding them, applying overrides, and the place of an error.

    ConfigFile.read(find_file("char_lstm"), ["model.cell.layers=2"]).options(Recipe, "a recipe")

It is light enough for a shell's completion: nothing here imports torch.
"""

from __future__ import annotations

import copy
import difflib
import functools
import operator
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar, cast

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
    shown,
)
from seqgen.registry import plain
from seqgen.yaml_io import Document, Mark, load_document, parse_value

EXTENDS = "extends"
"""The key of a recipe or plan that names another one, over which it is laid."""
_PLANS = "compare/"  # the folder among the recipes that holds plans of comparisons
T = TypeVar("T")


def bundled_recipes() -> dict[str, Path]:
    """The recipes that come with seqgen, by bare name such as `lectures/char_lstm_cell`."""
    files = _bundled_files()
    return {name: path for name, path in files.items() if not name.startswith(_PLANS)}


def bundled_plans() -> dict[str, Path]:
    """The plans of comparisons that come with seqgen, by bare name such as `language_model`."""
    files = _bundled_files()
    return {name.removeprefix(_PLANS): files[name] for name in files if name.startswith(_PLANS)}


def _bundled_files() -> dict[str, Path]:
    package = Path(__file__).parent
    # An installed package holds them inside; in a clone they are next to the package.
    for folder in (package / "recipes", package.parent / "recipes"):
        if folder.is_dir():
            paths = sorted(folder.rglob("*.yaml"))
            return {path.relative_to(folder).with_suffix("").as_posix(): path for path in paths}
    return {}


def find_file(wanted: str, kind: str = "recipe") -> Path:
    """The file of a `kind` (recipe or plan) that `wanted` means: a path, or a bundled one's name.

    Raises RecipeError, with a suggestion, if there is none.
    """
    if os.path.lexists(wanted):  # unlike Path.exists, it takes a name of any length
        own_recipe = Path(wanted, "recipe.yaml")
        if own_recipe.is_file():
            message = f"this is a run and no {kind}; that of the run is {own_recipe}"
            raise RecipeError(f"{wanted}: {message}")
        return Path(wanted)
    recipes, plans = bundled_recipes(), bundled_plans()
    known = recipes if kind == "recipe" else plans
    if wanted in known:
        return known[wanted]
    if wanted in plans:
        hint = f"; it is a plan (seqgen compare RUN --plan {wanted})"
    elif wanted in recipes:
        hint = f"; it is a recipe (seqgen run {wanted})"
    else:
        near = did_you_mean(wanted.removesuffix(".yaml").split("recipes/")[-1], known)
        hint = f"{near} (a path, or one of {', '.join(known)})"
    raise RecipeError(f"{wanted or repr(wanted)}: no such {kind}{hint}")


@dataclass(frozen=True)
class Override:
    """An override: its `text` as typed, its path and its value.

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
        mark = _nearest(self.places, path[len(self.path) :], at_key=at_key)
        return f"{self.file}:{mark}"

    def __str__(self) -> str:
        return f"{self.label} {self.text}"


def read_override(text: str, label: str = "override") -> Override:
    """Split `a.b.c=value`; the value is YAML, or @ and the path of a YAML file.

    No YAML value begins with @ unless it is quoted, so none can be meant. Raises RecipeError that
    names the override, or the place in the file.
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
        return Override(text, path_of(key), parse_value(value), label)
    except ValueError as error:
        raise RecipeError(f"{label} {text}: {error}") from None


def read_value_file(name: str, whole: str) -> Document:
    """The content of the YAML file named by `@name`; `whole` is the override as typed.

    Raises RecipeError if it cannot be read.
    """
    try:
        content = read_bytes(Path(name), RecipeError, limit=OPTIONS_LIMIT, wanted="a YAML file")
    except RecipeError as error:
        hint = f"(@ names a file; quote a string: '\"@{name}\"')"
        raise RecipeError(f"{whole}: {error} {hint}") from None
    return load_document(content, name, mapping=False)


def path_of(key: str) -> KeyPath:
    """`model.cells.0.name` as a path; numbers are indices of lists."""
    return tuple(
        int(step) if step.isascii() and step.isdecimal() and len(step) < 10 else step
        for step in key.strip().split(".")
    )


def lay_over(data: object, overrides: Sequence[Override]) -> Any:
    """A copy of `data` with the overrides applied; for each path the last one counts.

    A part that is written as its name becomes a mapping where an override names one of its
    options: `cell: lstm` and `model.cell.layers=2` give `cell: {name: lstm, layers: 2}`.
    Raises RecipeError if a path leads into something that is neither a mapping nor a list.
    """
    result: Any = copy.deepcopy(data)
    for override in overrides:
        tree = result
        *way, last = override.path
        for step in way:
            key = _key_in(tree, step, override)
            child = tree.get(key) if isinstance(tree, dict) else tree[key]
            if child is None or isinstance(child, str):
                child = {} if child is None else {"name": child}
            tree[key] = child
            tree = child
        tree[_key_in(tree, last, override)] = copy.deepcopy(override.value)
    return result


def _key_in(tree: Any, step: str | int, override: Override) -> Any:
    if isinstance(tree, dict):
        return str(step)
    if isinstance(tree, list) and isinstance(step, int) and step < len(tree):
        return step
    raise RecipeError(f"{override}: no such key '{step}'")


@dataclass(frozen=True)
class ConfigFile:
    """A recipe or plan as written, and its overrides.

    `name` is what errors call it; paths in it are relative to `folder`.
    """

    name: str
    folder: Path
    document: Document
    overrides: tuple[Override, ...] = ()

    @classmethod
    def read(
        cls, path: Path, overrides: Sequence[str | Override] = (), kind: str = "recipe"
    ) -> ConfigFile:
        """The file at `path`, laid over the one of its `kind` that it extends, with `key=value`
        overrides. Raises RecipeError."""
        document = _read(path, kind)
        read = (read_override(each) if isinstance(each, str) else each for each in overrides)
        return cls(str(path), path.parent, document, tuple(read))

    @classmethod
    def of(
        cls, data: Mapping[str, Any], name: str, overrides: Sequence[str | Override] = ()
    ) -> ConfigFile:
        """What a program wrote in place of a file: an error says `name` and the path alone, and
        paths are relative to the current folder. Raises RecipeError."""
        try:
            document = Document(plain(data), {}, {(): Mark(0, 0, name)})
        except RecursionError:
            raise RecipeError(f"{name}: too deeply nested") from None
        document = _extended(document, name, Path(), "recipe")
        read = (read_override(each) if isinstance(each, str) else each for each in overrides)
        return cls(name, Path(), document, tuple(read))

    @functools.cached_property
    def data(self) -> Any:
        """The plain data with the overrides in it. Raises RecipeError if one has no place."""
        return lay_over(self.document.data, self.overrides)

    def options(self, kind: type[T], owner: str) -> T:
        """The data as a `kind`, a dataclass of options, which an error calls `owner`.

        Raises RecipeError in one line with the place, be it in the file or in an override.
        """
        try:
            return kind(**check_options(options_of(kind), self.data, (), owner))
        except OptionError as error:
            raise self.error(suggest_place(error, kind, self.data)) from None

    def error(self, error: OptionError) -> RecipeError:
        """`error` with the place that its path has: the override that set it, or
        file:line:column. Where an override changed a part of what is wrong, both are named:
        either may be at fault.
        """
        message = f"{dotted(error.path)}: {error.message}" if error.path else error.message
        if error.first is not None:
            first, mark = self._last_override(error.first), _nearest(self.document, error.first)
            where = f"at {mark}" if mark.line else dotted(error.first)
            where = f"that of {first.place(error.first)}" if first else where
            message += f"; the first is {where}"
        override = self._last_override(error.path)
        if override:
            return RecipeError(f"{override.place(error.path, at_key=error.at_key)}: {message}")
        inside = [each for each in self.overrides if each.path[: len(error.path)] == error.path]
        if error.path and inside:
            marks = self.document.keys if error.at_key else self.document.values
            if error.path not in marks:  # an override made this path
                return RecipeError(f"{inside[-1]}: {message}")
            message += f" (with {' and '.join(str(each) for each in inside)})"
        mark = _nearest(self.document, error.path, at_key=error.at_key)
        return RecipeError(f"{_placed(self.name, mark)}: {message}")

    def _last_override(self, path: KeyPath) -> Override | None:
        """The override that sets the value at `path`, if any."""
        latest = reversed(self.overrides)
        return next((each for each in latest if path[: len(each.path)] == each.path), None)


def _read(path: Path, kind: str, above: tuple[Path, ...] = ()) -> Document:
    """The content of a file with what it extends; `above` are the files that extend it."""
    content, here = (
        read_bytes(path, RecipeError, limit=OPTIONS_LIMIT, wanted="a YAML file"),
        path.resolve(),
    )
    if here in above:
        raise RecipeError(f"{path}: this file extends itself")
    document = load_document(content, str(path))
    return _extended(document, str(path), path.parent, kind, (*above, here))


def _extended(
    document: Document, name: str, folder: Path, kind: str, above: tuple[Path, ...] = ()
) -> Document:
    """`document`, called `name`, laid over the file that it `extends`, if any: a path relative to
    `folder`, or a bundled name. Raises RecipeError."""
    wanted = cast(dict[str, Any], document.data).pop(EXTENDS, None)
    if wanted is None:
        return document
    place = f"{_placed(name, _nearest(document, (EXTENDS,)))}: {EXTENDS}"
    if not isinstance(wanted, str):
        raise RecipeError(f"{place}: must be the path or name of a {kind}, but is {shown(wanted)}")
    bundled = bundled_recipes() if kind == "recipe" else bundled_plans()
    try:
        file = bundled.get(wanted) or find_file(str(folder / wanted), kind)
        base = _read(file, kind, above)
    except RecipeError as error:
        raise RecipeError(f"{place}: {error}") from None
    plugins = cast(dict[str, Any], base.data).get("plugins")
    if isinstance(plugins, list):  # they are relative to the file that names them
        near = file.parent.resolve()
        plugins[:] = [str(near / each) if isinstance(each, str) else each for each in plugins]
    return _laid_over(base, document, str(file))


def _laid_over(base: Document, own: Document, name: str) -> Document:
    """`own` over the `base` of the file called `name`: mappings are joined key by key, but for
    parts of different names; anything else replaces what is there."""
    replaced: list[KeyPath] = []

    def joined(under: Any, over: Any, path: KeyPath) -> Any:
        if isinstance(over, dict):
            if isinstance(under, str):  # a part that is written as its name
                under = {"name": under}
            if isinstance(under, dict) and under.get("name") == over.get("name", under.get("name")):
                more = {
                    key: joined(under[key], each, (*path, key)) if key in under else each
                    for key, each in over.items()
                }
                return {**under, **more}
        replaced.append(path)
        return over

    data = joined(base.data, own.data, ())

    def marks(under: Mapping[KeyPath, Mark], over: Mapping[KeyPath, Mark]) -> dict[KeyPath, Mark]:
        gone = {path for path in under for each in replaced if path[: len(each)] == each}
        kept = {path: mark for path, mark in under.items() if path not in gone}
        named = {path: replace(mark, file=mark.file or name) for path, mark in kept.items()}
        # What was never in a file has one place, that of the whole.
        return {**named, **dict.fromkeys(replaced, own.values[()]), **over}

    return Document(data, marks(base.keys, own.keys), marks(base.values, own.values))


def _placed(name: str, mark: Mark) -> str:
    """`file:line:column` of a mark in the file called `name`, if it is not in another one."""
    return str(mark) if mark.file else f"{name}:{mark}"


def _nearest(document: Document, path: KeyPath, *, at_key: bool = False) -> Mark:
    """The mark of the longest part of `path` that has one."""
    marks = document.keys if at_key else document.values
    for length in range(len(path), -1, -1):
        if path[:length] in marks:
            return marks[path[:length]]
    return document.values.get((), Mark(1, 1))


def suggest_place(error: OptionError, kind: type[Any], data: Any) -> OptionError:
    """The error about an unknown key, with the path of the option that it may mean, if `data` as a
    `kind` has one elsewhere: for `lr` that is `train.lr`."""
    fault, rest = error, copy.deepcopy(data)
    for _ in range(8):  # there may be further errors
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
        if not meant:
            return error
        head, _, known = error.message.partition(" (")
        message = f"{head.partition(';')[0]}; did you mean '{dotted(meant[0])}'? ({known}"
        return OptionError(error.path, message, at_key=True)
    return error


def leaves(data: Any) -> list[KeyPath]:
    """The paths of all options in plain `data`, outer ones first, without the names of parts."""
    found: list[KeyPath] = []
    level: list[tuple[KeyPath, Any]] = [((), data)]
    while level:
        items = [((*path, key), each) for path, tree in level for key, each in tree.items()]
        found += [path for path, _ in items if path[-1] != "name"]
        level = [(path, each) for path, each in items if isinstance(each, dict)]
    return found


def schema_of_file(kind: type[Any], title: str) -> dict[str, Any]:
    """The JSON Schema of files that become a `kind`, for editors."""
    options = options_of(kind)
    definitions: dict[str, Any] = {}
    define_checkers(options, definitions)
    whole = schema_of_options(options)
    # What a file that extends another one leaves out is known only to who reads both.
    part = {"required": [EXTENDS], "properties": {EXTENDS: {"type": "string"}}}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": title,
        "anyOf": [whole, part],
        "$defs": definitions,
    }
