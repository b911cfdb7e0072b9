"""The options that a signature declares: reading them, and checking values against them."""

from __future__ import annotations

import dataclasses
import difflib
import inspect
import typing
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any

from pydantic import Field

from seqgen.annotations import any_list, checker_of, item_of, value_of, without_none
from seqgen.plain_values import BadValueError, check_plain, schema_of_plain, shown

Path = tuple[str | int, ...]

Size = Annotated[int, Field(ge=1, le=1_000_000)]
Few = Annotated[int, Field(ge=1, le=1000)]
"""A number of what is made one by one, such as layers."""
Steps = Annotated[int, Field(ge=1, le=2**53)]
Count = Annotated[int, Field(ge=0, le=10**9)]
Share = Annotated[float, Field(ge=0, lt=1)]
PositiveFloat = Annotated[float, Field(gt=0, le=1e30)]
NonNegativeFloat = Annotated[float, Field(ge=0, le=1e30)]
Seconds = Annotated[float, Field(ge=0.1, le=10**6)]
Temperature = Annotated[float, Field(ge=0, le=1e9)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]

REQUIRED: Any = inspect.Parameter.empty


class OptionError(ValueError):
    """A value that an option cannot take: where in the tree, and what would be right.

    `at_key` says that the key is wrong and not its value, `first` where it stands for the first
    time what may be there only once.
    """

    def __init__(
        self, path: Path, message: str, *, at_key: bool = False, first: Path | None = None
    ) -> None:
        super().__init__(f"{dotted(path)}: {message}" if path else message)
        self.path = path
        self.message = message
        self.at_key = at_key
        self.first = first


@dataclasses.dataclass(frozen=True)
class Option:
    """One option: its name, its annotation and its default (REQUIRED where it has none)."""

    name: str
    annotation: Any
    default: Any


def dotted(path: Path) -> str:
    """`("model", "cells", 0, "name")` as `model.cells.0.name`."""
    return ".".join(str(step) for step in path)


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """`; did you mean 'lstm'?` where a choice is near to `word`, else nothing."""
    names = list(choices)
    near = difflib.get_close_matches(word.lower(), names, n=1, cutoff=0.6)
    near = near or [name for name in names if len(word) > 2 and name.startswith(word.lower())]
    return f"; did you mean '{near[0]}'?" if near else ""


def options_of(factory: Callable[..., Any]) -> dict[str, Option]:
    """The options that the signature of a class or function declares."""
    hints = typing.get_type_hints(_annotated(factory), include_extras=True)
    return {
        name: Option(name, hints.get(name, Any), parameter.default)
        for name, parameter in inspect.signature(factory).parameters.items()
        if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    }


def check_options(
    options: Mapping[str, Option], values: object, path: Path, owner: str
) -> dict[str, Any]:
    """`values` checked against `options`, with the defaults filled in.

    `owner` says in the error whose options they are, as in "not an option of cell 'lstm'".
    """
    if not isinstance(values, dict):
        raise OptionError(path, f"must be a mapping of options, but is {shown(values)}")
    for key in values:
        if key not in options:
            known = ", ".join(options) or "it has none"
            near = did_you_mean(key, options)
            message = f"not an option of {owner}{near} ({known})"
            raise OptionError((*path, key), message, at_key=True)
    checked = {}
    for name, option in options.items():
        if name in values:
            value = _with_default_name(option, values[name])
            checked[name] = check_value(option.annotation, value, (*path, name))
        elif option.default is REQUIRED:
            raise OptionError(path, f"`{name}` is missing; {owner} needs it")
        else:
            checked[name] = default_of(option, (*path, name))
    return checked


def default_of(option: Option, path: Path = ()) -> Any:
    """The checked default: a part may be written as its name, a section as nothing at all."""
    annotation, default, place = option.annotation, option.default, path or (option.name,)
    if default is None:
        return None
    if checker_of(annotation):
        return check_value(annotation, default, place)
    if dataclasses.is_dataclass(annotation) and default == typing.cast(Any, annotation)():
        return check_value(annotation, {}, place)  # its own defaults may be parts
    item = item_of(without_none(annotation))
    return check_value(annotation, list(default), place) if checker_of(item) else default


def _with_default_name(option: Option, value: object) -> object:
    """Options without a name mean the default part: `optimizer: {eps: 1e-6}`."""
    checker = checker_of(option.annotation)
    if not checker or not isinstance(value, dict) or "name" in value:
        return value
    if option.default is REQUIRED or option.default is None:
        return value
    return {"name": checker.check(option.default, ()).name, **value}


def check_value(annotation: Any, value: object, path: Path) -> Any:
    """`value` as the type that `annotation` says; an OptionError names the range otherwise."""
    if value is None and type(None) in typing.get_args(annotation):
        return None
    annotation = without_none(annotation)
    checker = checker_of(annotation)
    if checker:
        return checker.check(value, path)
    if dataclasses.is_dataclass(annotation):
        section = typing.cast(type[Any], annotation)
        name = f"section '{dotted(path)}'"
        checked = check_options(options_of(section), value, path, name)
        try:
            return section(**checked)
        except ValueError as error:
            raise OptionError(path, str(error)) from None
    item, of_mapping = item_of(annotation), value_of(annotation)
    if item is not None:
        _check_plain(any_list(annotation), value, path)
        items = typing.cast(list[Any], value)
        return tuple(check_value(item, each, (*path, i)) for i, each in enumerate(items))
    if of_mapping is not None:
        if not isinstance(value, dict):
            raise OptionError(path, f"must be a mapping, but is {shown(value)}")
        return {key: check_value(of_mapping, each, (*path, key)) for key, each in value.items()}
    return _check_plain(annotation, value, path)


def _check_plain(annotation: Any, value: object, path: Path) -> Any:
    try:
        return check_plain(annotation, value)
    except BadValueError as error:
        raise OptionError(path, str(error)) from None


def schema_of(annotation: Any) -> dict[str, Any]:
    """The JSON Schema of what `check_value` accepts for `annotation`."""
    inner = without_none(annotation)
    checker = checker_of(inner)
    item, value = item_of(inner), value_of(inner)
    if checker:
        schema = checker.schema()
    elif dataclasses.is_dataclass(inner):
        schema = schema_of_options(options_of(typing.cast(type[Any], inner)))
    elif item is not None:
        schema = {**schema_of_plain(any_list(inner)), "items": schema_of(item)}
    elif value is not None:
        schema = {"type": "object", "additionalProperties": schema_of(value)}
    else:
        return schema_of_plain(annotation)
    return schema if inner is annotation else {"anyOf": [schema, {"type": "null"}]}


def define_checkers(options: Mapping[str, Option], definitions: dict[str, Any]) -> None:
    """Let every checker among the annotations of `options` put in its definition."""
    for option in options.values():
        inner = without_none(option.annotation)
        item = item_of(inner) or value_of(inner) or inner
        checker = checker_of(item)
        if checker:
            checker.define(definitions)
        elif dataclasses.is_dataclass(item):
            define_checkers(options_of(typing.cast(type[Any], item)), definitions)


def schema_of_options(options: Mapping[str, Option]) -> dict[str, Any]:
    """The JSON Schema of a mapping of `options`; unknown keys are refused."""
    properties = {}
    for name, option in options.items():
        properties[name] = schema_of(option.annotation)
        checker = checker_of(option.annotation)
        if checker and option.default is not REQUIRED and option.default is not None:
            unnamed = checker.schema_without_name(option.default)
            properties[name] = {"anyOf": [properties[name], unnamed]}
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
