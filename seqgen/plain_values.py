"""Plain values (numbers, strings, lists of them): whether one fits a type, and what would.

Every number has a range. What an annotation does not bound is bounded here: integers by what a
double holds exactly, floats by what float32 holds with room for a product or two.
"""

from __future__ import annotations

import functools
import json
import math
import operator
import types
import typing
from collections.abc import Callable, Iterable
from typing import Annotated, Any

from pydantic import (
    ConfigDict,
    Field,
    PydanticSchemaGenerationError,
    TypeAdapter,
    ValidationError,
    WrapValidator,
)
from pydantic_core import PydanticCustomError

_ENDLESS = 10_000
"""Bits of an integer of about 3,000 digits; Python writes out up to 4,300."""

RANGES: dict[type, tuple[float, float]] = {int: (-(2**53), 2**53), float: (-1e30, 1e30)}
"""The least and the greatest number where an annotation says nothing else."""


class BadValueError(ValueError):
    """A value that a type cannot take; the message says what it must be."""


def check_plain(annotation: Any, value: object) -> Any:
    """`value` as the type of `annotation`, or a BadValueError that says what it must be.

    By pydantic, strictly (no "3" for 3), in its JSON mode (a list may become a tuple).
    """
    try:
        adapter = _adapter(annotation)
    except PydanticSchemaGenerationError:
        return value
    try:
        return adapter.validate_json(_json(value), strict=True)
    except ValidationError as error:
        errors = error.errors()
        # No value of a recipe is an object of some class: what else it may be is what helps.
        classes = ("is_instance_of", "needs_python_object")
        helpful = [each for each in errors if each["type"] not in classes] or errors
        wanted = " or ".join(dict.fromkeys(map(_wanted, helpful)))
        raise BadValueError(f"must be {wanted}, but is {shown(value)}") from None


def schema_of_plain(annotation: Any) -> dict[str, Any]:
    """The JSON Schema of what `check_plain` accepts."""
    try:
        return _adapter(annotation).json_schema()
    except Exception:  # a type of the owner's own has no JSON Schema: say nothing about it
        return {}


def for_json(value: Any) -> Any:
    """`value` with null for each number that JSON cannot hold (NaN and the infinities)."""
    if isinstance(value, dict):
        return {key: for_json(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [for_json(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def shown(value: object) -> str:
    """`value` as an error shows it: short, on one line."""
    if isinstance(value, int) and value.bit_length() > _ENDLESS:
        return "an integer of thousands of digits"
    text = repr(value) if isinstance(value, str) else _json(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _json(value: object) -> str:
    """`value` as JSON. Integers that Python would not write out are cut to what no range has."""
    try:
        return json.dumps(value, default=str)
    except ValueError:
        return json.dumps(_cut(value), default=str)


def _cut(value: object) -> object:
    if isinstance(value, dict):
        return {key: _cut(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_cut(each) for each in value]
    if isinstance(value, int) and value.bit_length() > _ENDLESS:
        return 10**400 if value > 0 else -(10**400)
    return value


def _adapter(annotation: Any) -> TypeAdapter[Any]:
    config = ConfigDict(allow_inf_nan=False, arbitrary_types_allowed=True)
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
    "int_type": "an integer",
    "int_from_float": "an integer",
    "float_type": "a number",
    "bool_type": "true or false",
    "string_type": "a string",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "a mapping",
    "mapping_type": "a mapping",
    "none_required": "null",
    "path_type": "a path",
    "range": "{words}",
    "literal_error": "{expected}",
    "too_short": "at least {min_length} long",
    "too_long": "at most {max_length} long",
    "string_too_short": "at least {min_length} long",
    "missing": "longer",
}


_OUT_OF_RANGE = {
    "greater_than",
    "greater_than_equal",
    "less_than",
    "less_than_equal",
    "finite_number",
}

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
    least, most = RANGES[kind]
    if {"gt", "ge"} <= bounds.keys() and bounds["ge"] <= bounds["gt"]:
        del bounds["ge"]
    own = {"ge": least} if not bounds.keys() & {"gt", "ge"} else {}
    own |= {"le": most} if not bounds.keys() & {"lt", "le"} else {}
    every = {**own, **bounds}
    words = " and ".join(
        f"{phrase} {_brief(every[key])}" for key, phrase in _BOUNDS.items() if key in every
    )

    def check(value: Any, handler: Callable[[Any], Any]) -> Any:
        try:
            return handler(value)
        except ValidationError as error:
            found = error.errors()[0]["type"]
            beyond_any_float = found == "float_type" and type(value) is int
            if found in _OUT_OF_RANGE or beyond_any_float:
                raise PydanticCustomError("range", "{words}", {"words": words}) from None
            raise

    return Annotated[
        (kind, *extras, Field(ge=own.get("ge"), le=own.get("le")), WrapValidator(check))
    ]


def _brief(number: float) -> str:
    """A bound as it is written in a recipe."""
    return str(int(number)) if number == int(number) and abs(number) < 1e20 else f"{number:g}"


def _wanted(error: Any) -> str:
    """What would have been right, as words that fit behind "must be"."""
    context = error.get("ctx", {})
    if error["type"] in _WANTED:
        return _WANTED[error["type"]].format(**context)
    if isinstance(context.get("error"), Exception):  # of a validator in the annotation
        return f"valid ({context['error']})"
    return f"valid ({error['msg'].lower()})"
