"""Plain values (numbers, strings, lists of them): whether one fits a type, and what would."""

from __future__ import annotations

import json
import math
from typing import Any

from pydantic import ConfigDict, PydanticSchemaGenerationError, TypeAdapter, ValidationError


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
        return adapter.validate_json(json.dumps(value, default=str), strict=True)
    except ValidationError as error:
        errors = error.errors()
        wanted = " or ".join(dict.fromkeys(_wanted(each) for each in errors))
        if errors[0]["type"] in _BOUNDS and not errors[0]["loc"]:
            wanted = _range(annotation) or wanted
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
    text = json.dumps(value, default=str) if not isinstance(value, str) else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _adapter(annotation: Any) -> TypeAdapter[Any]:
    config = ConfigDict(allow_inf_nan=False, arbitrary_types_allowed=True)
    return TypeAdapter(annotation, config=config)


_WANTED = {
    "int_type": "an integer",
    "int_from_float": "an integer",
    "float_type": "a number",
    "bool_type": "true or false",
    "string_type": "a string",
    "tuple_type": "a list",
    "list_type": "a list",
    "none_required": "null",
    "path_type": "a path",
    "finite_number": "a finite number",
    "greater_than": "greater than {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "less than {lt}",
    "less_than_equal": "at most {le}",
    "literal_error": "{expected}",
    "too_short": "at least {min_length} long",
    "too_long": "at most {max_length} long",
    "string_too_short": "at least {min_length} long",
    "missing": "longer",
}


_BOUNDS = {
    "greater_than": ("gt", "greater than"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "less than"),
    "less_than_equal": ("le", "at most"),
}


def _range(annotation: Any) -> str:
    """`at least 0 and less than 1`: all bounds of an annotation, not only the one missed."""
    fields = getattr(annotation, "__metadata__", ())
    bounds = [bound for field in fields for bound in getattr(field, "metadata", ())]
    words = [
        f"{phrase} {getattr(bound, key)}"
        for bound in bounds
        for key, phrase in _BOUNDS.values()
        if getattr(bound, key, None) is not None
    ]
    return " and ".join(words)


def _wanted(error: Any) -> str:
    """What would have been right, as words that fit behind "must be"."""
    template = _WANTED.get(error["type"])
    if template is None:
        return f"valid ({error['msg'].lower()})"
    return template.format(**error.get("ctx", {}))
