"""Reading the options that a signature declares, and checking values against them.

An annotation says what a value may be. Plain values (numbers, strings, lists of them) are checked
by pydantic, strictly, and every number has a range: what an annotation does not bound is bounded
here. A part of a kind is checked by its registry, which the annotation carries as its `Checker`.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import inspect
import json
import math
import operator
import types
import typing
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated, Any

import pydantic
from pydantic import Field, TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError

KeyPath = tuple[str | int, ...]
REQUIRED: Any = inspect.Parameter.empty


class OptionError(ValueError):
    """A value that an option cannot take: its path, and what would be right.

    `at_key` says that the key is wrong, not its value; `first` is the first place of a value that
    may occur only once.
    """

    def __init__(
        self, path: KeyPath, message: str, *, at_key: bool = False, first: KeyPath | None = None
    ) -> None:
        super().__init__(f"{dotted(path)}: {message}" if path else message)
        self.path = path
        self.message = message
        self.at_key = at_key
        self.first = first


class Checker(ABC):
    """What an annotation carries to check its own values, `Annotated[Cell, cells]`: a registry."""

    @abstractmethod
    def check(self, value: object, path: KeyPath = ()) -> Any:
        """The checked value. Raises OptionError if it is none, with its `path`."""

    @abstractmethod
    def schema(self, default: object = None) -> dict[str, Any]:
        """The JSON Schema of what `check` accepts, which may refer to `$defs`; with a `default`,
        that of options without a name, which mean those of the default."""

    @abstractmethod
    def define(self, definitions: dict[str, Any]) -> None:
        """Put what `schema` refers to into `definitions`."""


def checker_of(annotation: Any) -> Checker | None:
    """The checker in `Annotated[X, checker]` or `Annotated[X, checker] | None`."""
    extras = getattr(without_none(annotation), "__metadata__", ())
    return next((extra for extra in extras if isinstance(extra, Checker)), None)


def without_none(annotation: Any) -> Any:
    """X of `X | None`; any other annotation as it is."""
    if typing.get_origin(annotation) not in (typing.Union, types.UnionType):
        return annotation
    rest = [each for each in typing.get_args(annotation) if each is not type(None)]
    return rest[0] if len(rest) == 1 else annotation


def _inside(annotation: Any) -> tuple[str, Any]:
    """What values of `annotation` are made of: a "part" of a checker, a "section" of options, a
    "list" of such, a "mapping" to values, or "plain" ones."""
    checker = checker_of(annotation)
    if checker:
        return "part", checker
    if dataclasses.is_dataclass(annotation):
        return "section", annotation
    # Bounds of a length, as in `Annotated[tuple[X, ...], Field(min_length=1)]`, are looked through.
    bounded = typing.get_origin(annotation) is Annotated
    bare = typing.get_args(annotation)[0] if bounded else annotation
    origin, inner = typing.get_origin(bare), typing.get_args(bare)
    if origin in (dict, Mapping) and inner and not bounded:
        return "mapping", inner[1]
    if origin in (list, tuple, Sequence) and inner and _inside(inner[0])[0] in ("part", "section"):
        return "list", inner[0]
    return "plain", annotation


def _any_list(annotation: Any) -> Any:
    """A list of anything, with the bounds that `annotation` has for its length."""
    bounds = getattr(annotation, "__metadata__", ())
    return Annotated[(list[Any], *bounds)] if bounds else list[Any]


_ENDLESS = 10_000
"""Bits of an integer of about 3,000 digits; Python writes out up to 4,300."""

RANGES: dict[type, tuple[float, float]] = {int: (-(2**53), 2**53), float: (-1e30, 1e30)}
"""The least and the greatest number where an annotation says nothing else: integers that a double
holds exactly, floats that float32 holds with room for a product or two."""


def check_plain(annotation: Any, value: object, path: KeyPath = ()) -> Any:
    """`value` as the type of `annotation`: strictly (no "3" for 3), but a list may become a tuple.

    Raises OptionError, which says what it must be.
    """
    try:
        adapter = _adapter(annotation)
    except pydantic.PydanticSchemaGenerationError:
        return value
    try:
        return adapter.validate_json(_json(value), strict=True)
    except ValidationError as error:
        errors = error.errors()
        # No value of a recipe is an object of some class: what else it may be is what helps.
        classes = ("is_instance_of", "needs_python_object")
        helpful = [each for each in errors if each["type"] not in classes] or errors
        wanted = " or ".join(dict.fromkeys(map(_wanted, helpful)))
        raise OptionError(path, f"must be {wanted}, but is {shown(value)}") from None


def schema_of_plain(annotation: Any) -> dict[str, Any]:
    """The JSON Schema of what `check_plain` accepts."""
    try:
        return _adapter(annotation).json_schema()
    except Exception:  # a type of the owner's own has no JSON Schema: say nothing about it
        return {}


def _with_leaves(value: Any, change: Callable[[Any], Any]) -> Any:
    """A copy of a tree of mappings and lists with each leaf changed."""
    if isinstance(value, dict):
        return {key: _with_leaves(each, change) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_with_leaves(each, change) for each in value]
    return change(value)


def for_json(value: Any) -> Any:
    """`value` with null for each number that JSON cannot hold (NaN and the infinities)."""
    return _with_leaves(
        value, lambda leaf: None if isinstance(leaf, float) and not math.isfinite(leaf) else leaf
    )


def shown(value: object) -> str:
    """`value` as an error shows it: short, on one line."""
    if isinstance(value, int) and value.bit_length() > _ENDLESS:
        return "an integer of thousands of digits"
    text = repr(value) if isinstance(value, str) else _json(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _json(value: object) -> str:
    """`value` as JSON. Integers that Python would not write out are cut to what no range has."""

    def cut(leaf: Any) -> Any:
        if isinstance(leaf, int) and leaf.bit_length() > _ENDLESS:
            return 10**400 if leaf > 0 else -(10**400)
        return leaf

    return json.dumps(_with_leaves(value, cut), default=str)


def _adapter(annotation: Any) -> TypeAdapter[Any]:
    try:  # `int | str` equals `str | int`, but an error names them in their order
        return _cached_adapter(annotation, str(annotation))
    except TypeError:  # it has no hash
        return _cached_adapter.__wrapped__(annotation, "")


@functools.cache
def _cached_adapter(annotation: Any, order: str) -> TypeAdapter[Any]:
    config = pydantic.ConfigDict(allow_inf_nan=False, arbitrary_types_allowed=True)
    return TypeAdapter(_bounded(annotation), config=config)


def _bounded(annotation: Any) -> Any:
    """`annotation` with a range for each number in it, which an error names as a whole."""
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if annotation in (int, float):
        return _number(annotation, ())
    if origin is Annotated:
        bare, *extras = inner
        if bare in (int, float):
            return _number(bare, extras)
        return Annotated[(_bounded(bare), *extras)]
    if origin in (typing.Union, types.UnionType):
        return functools.reduce(operator.or_, map(_bounded, inner))
    if origin is typing.Literal or not isinstance(origin, type):
        return annotation
    generic: Any = origin
    return generic[tuple(map(_bounded, inner))] if inner else annotation


_WANTED = {
    **dict.fromkeys(("int_type", "int_from_float"), "an integer"),
    **dict.fromkeys(("tuple_type", "list_type"), "a list"),
    **dict.fromkeys(("dict_type", "mapping_type"), "a mapping"),
    **dict.fromkeys(("too_short", "string_too_short"), "at least {min_length} long"),
    **{"float_type": "a number", "bool_type": "true or false", "string_type": "a string"},
    **{"none_required": "null", "path_type": "a path", "missing": "longer"},
    **{"range": "{words}", "literal_error": "{expected}", "too_long": "at most {max_length} long"},
}
_OUT_OF_RANGE = {"greater_than", "greater_than_equal", "less_than", "less_than_equal"}
_OUT_OF_RANGE |= {"finite_number"}
_BOUNDS = {"gt": "greater than", "ge": "at least", "lt": "less than", "le": "at most"}


def _number(kind: type, extras: Iterable[Any]) -> Any:
    """The type of numbers within the bounds among `extras`, and within the default ones."""
    limits = [limit for extra in extras for limit in (extra, *getattr(extra, "metadata", ()))]
    bounds = {
        key: getattr(limit, key)
        for key in _BOUNDS
        for limit in limits
        if getattr(limit, key, None) is not None
    }
    if {"gt", "ge"} <= bounds.keys() and bounds["ge"] <= bounds["gt"]:
        del bounds["ge"]
    infinite = any(getattr(limit, "allow_inf_nan", False) for limit in limits)
    least, most = RANGES[kind]
    own: dict[str, Any] = {} if bounds.keys() & {"gt", "ge"} else {"ge": least}
    own |= {} if bounds.keys() & {"lt", "le"} else {"le": most}
    every = {**own, **bounds}
    words = " and ".join(
        f"{phrase} {_as_written(every[key])}" for key, phrase in _BOUNDS.items() if key in every
    )

    def check(value: Any, handler: Callable[[Any], Any]) -> Any:
        if infinite and value in ("inf", math.inf):  # beyond the range, but a limit of its own
            return math.inf
        try:
            return handler(value)
        except ValidationError as error:
            found = error.errors()[0]["type"]
            beyond_any_float = found == "float_type" and type(value) is int
            if found in _OUT_OF_RANGE or beyond_any_float:
                raise PydanticCustomError("range", "{words}", {"words": words}) from None
            raise

    return Annotated[(kind, *extras, Field(**own), pydantic.WrapValidator(check))]


def _as_written(number: float) -> str:
    """A bound as it is written in a recipe."""
    return str(int(number)) if number == int(number) and abs(number) < 1e20 else f"{number:g}"


def _wanted(error: Any) -> str:
    """What would be right, in words that fit after "must be"."""
    context = error.get("ctx", {})
    if error["type"] in _WANTED:
        return _WANTED[error["type"]].format(**context)
    if isinstance(context.get("error"), Exception):  # of a validator in the annotation
        return f"valid ({context['error']})"
    return f"valid ({error['msg'].lower()})"


Size = Annotated[int, Field(ge=1, le=1_000_000)]
Few = Annotated[int, Field(ge=1, le=1000)]
"""A number of what is made one by one, such as layers."""
Steps = Annotated[int, Field(ge=1, le=2**53)]
Count = Annotated[int, Field(ge=0, le=10**9)]
Port = Annotated[int, Field(ge=0, le=65_535)]
Share = Annotated[float, Field(ge=0, lt=1)]
PositiveFloat = Annotated[float, Field(gt=0, le=1e30)]
NonNegativeFloat = Annotated[float, Field(ge=0, le=1e30)]
Seconds = Annotated[float, Field(ge=0.1, le=10**6)]
Temperature = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=True)]
"""Also `.inf`, or `inf` where that is easier to type."""
Seed = Annotated[int, Field(ge=0, lt=2**63)]


@dataclasses.dataclass(frozen=True)
class Option:
    """One option: its name, its annotation and its default (REQUIRED where it has none)."""

    name: str
    annotation: Any
    default: Any


def dotted(path: KeyPath) -> str:
    """`("model", "cells", 0, "name")` as `model.cells.0.name`."""
    return ".".join(str(step) for step in path)


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """`; did you mean 'lstm'?` if a choice is similar to `word`, else nothing."""
    names = list(choices)
    near = difflib.get_close_matches(word.lower(), names, n=1, cutoff=0.6)
    near = near or [name for name in names if len(word) > 2 and name.startswith(word.lower())]
    return f"; did you mean '{near[0]}'?" if near else ""


@functools.lru_cache(maxsize=1000)
def hints_of(annotated: Callable[..., Any]) -> Mapping[str, Any]:
    """The annotations of a class or function, which take a millisecond to find."""
    return typing.get_type_hints(annotated, include_extras=True)


def options_of(factory: Callable[..., Any]) -> dict[str, Option]:
    """The options that the signature of a class or function declares."""
    try:
        hints = hints_of(_annotated(factory))
    except TypeError:  # it has no hash
        hints = hints_of.__wrapped__(_annotated(factory))
    return {
        name: Option(name, hints.get(name, Any), parameter.default)
        for name, parameter in inspect.signature(factory).parameters.items()
        if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    }


def check_options(
    options: Mapping[str, Option], values: object, path: KeyPath, owner: str
) -> dict[str, Any]:
    """`values` checked against `options`, with the defaults filled in.

    `owner` says in the error whose options they are, as in "not an option of cell 'lstm'".
    """
    if not isinstance(values, dict):
        raise OptionError(path, f"must be a mapping of options, but is {shown(values)}")
    for key in values:
        if key not in options:
            known = ", ".join(options) or "it has none"
            near = did_you_mean(str(key), options)
            message = f"not an option of {owner}{near} ({known})"
            raise OptionError((*path, key), message, at_key=True)
    checked = {}
    for name, option in options.items():
        if name in values:
            value, checker = values[name], checker_of(option.annotation)
            has_default = option.default is not REQUIRED and option.default is not None
            if checker and has_default and isinstance(value, dict) and "name" not in value:
                # Options without a name mean the default part: `optimizer: {eps: 1e-6}`.
                value = {"name": checker.check(option.default).name, **value}
            checked[name] = check_value(option.annotation, value, (*path, name))
        elif option.default is REQUIRED:
            raise OptionError(path, f"`{name}` is missing; {owner} needs it")
        else:
            checked[name] = default_of(option, (*path, name))
    return checked


def default_of(option: Option, path: KeyPath = ()) -> Any:
    """The checked default: a part may be written as its name, a section as nothing at all."""
    annotation, default, place = option.annotation, option.default, path or (option.name,)
    if default is None:
        return None
    kind, inner = _inside(without_none(annotation))
    if kind == "section" and inner is annotation and default == inner():
        default = {}  # its own defaults may be parts
    elif kind == "list" and checker_of(inner):
        default = list(default)
    elif kind != "part":
        return default
    return check_value(annotation, default, place)


def check_value(annotation: Any, value: object, path: KeyPath) -> Any:
    """`value` as the type that `annotation` says; an OptionError names the range otherwise."""
    if value is None and type(None) in typing.get_args(annotation):
        return None
    annotation = without_none(annotation)
    kind, inner = _inside(annotation)
    if kind == "part":
        return inner.check(value, path)
    if kind == "section":
        checked = check_options(options_of(inner), value, path, f"section '{dotted(path)}'")
        try:
            return inner(**checked)
        except ValueError as error:
            raise OptionError(path, str(error)) from None
    if kind == "list":
        check_plain(_any_list(annotation), value, path)
        items = typing.cast(list[Any], value)
        return tuple(check_value(inner, each, (*path, i)) for i, each in enumerate(items))
    if kind == "mapping":
        if not isinstance(value, dict):
            raise OptionError(path, f"must be a mapping, but is {shown(value)}")
        return {key: check_value(inner, each, (*path, key)) for key, each in value.items()}
    return check_plain(annotation, value, path)


def schema_of(annotation: Any) -> dict[str, Any]:
    """The JSON Schema of what `check_value` accepts for `annotation`."""
    bare = without_none(annotation)
    kind, inner = _inside(bare)
    if kind == "plain":
        return schema_of_plain(annotation)
    if kind == "part":
        schema = inner.schema()
    elif kind == "section":
        schema = schema_of_options(options_of(inner))
    elif kind == "list":
        schema = {**schema_of_plain(_any_list(bare)), "items": schema_of(inner)}
    else:
        schema = {"type": "object", "additionalProperties": schema_of(inner)}
    return schema if bare is annotation else {"anyOf": [schema, {"type": "null"}]}


def define_checkers(options: Mapping[str, Option], definitions: dict[str, Any]) -> None:
    """Let every checker among the annotations of `options` put in its definition."""
    for option in options.values():
        kind, inner = _inside(without_none(option.annotation))
        if kind in ("list", "mapping"):
            kind, inner = _inside(inner)
        if kind == "part":
            inner.define(definitions)
        elif kind == "section":
            define_checkers(options_of(inner), definitions)


def schema_of_options(options: Mapping[str, Option]) -> dict[str, Any]:
    """The JSON Schema of a mapping of `options`; unknown keys are refused."""
    properties = {}
    for name, option in options.items():
        properties[name] = schema_of(option.annotation)
        checker = checker_of(option.annotation)
        if checker and option.default is not REQUIRED and option.default is not None:
            properties[name] = {"anyOf": [properties[name], checker.schema(option.default)]}
        if isinstance(option.default, str | int | float | bool):
            properties[name] = {**properties[name], "default": option.default}
    required = [name for name, option in options.items() if option.default is REQUIRED]
    schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return {**schema, "required": required} if required else schema


def _annotated(factory: Callable[..., Any]) -> Callable[..., Any]:
    """Where the annotations of `factory` are: for a class on its `__init__`, be it inherited, and
    for a dataclass's on its fields."""
    if not isinstance(factory, type):
        return factory
    owner = next(each for each in factory.__mro__ if "__init__" in vars(each))
    return owner if "__dataclass_fields__" in vars(owner) else vars(owner)["__init__"]
