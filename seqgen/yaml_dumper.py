"""Plain data to YAML text that `yaml_loader` reads back as the same data."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from seqgen.plain_values import shown
from seqgen.yaml_events import MAX_DEPTH, MAX_DIGITS

MAX_KEY_LENGTH = 1024  # of a key without `?`, by the YAML specification
MAX_FLOW_LENGTH = 80

# What is a string to every reader of YAML; `no`, `on` and the like are booleans to some.
_SAFE = re.compile(r"(\.{0,2}/|[^\W\d])[\w./+-]*( [\w./+][\w./+-]*)*")
_UNSAFE_WORDS = {"null", "true", "false", "yes", "no", "on", "off", "y", "n"}
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t"}


def dump(data: object) -> str:
    """`data` as block YAML that reads back as the same data (a tuple as list, a path as string).

    Errors: TypeError where `data` is not plain; ValueError where no recipe could hold it.
    """
    return "\n".join(_block(data, depth=1)) + "\n"


def _block(data: object, depth: int) -> list[str]:
    """The lines of `data`, which is inside `depth - 1` collections."""
    line = _flow(data, depth)
    if line is not None:
        return [line]
    lines = []
    if isinstance(data, Mapping):
        for key, value in data.items():
            line = _flow(value, depth + 1)
            lines.append(f"{_key(key)}: {line}" if line is not None else f"{_key(key)}:")
            if line is None:
                lines.extend("  " + each for each in _block(value, depth + 1))
    elif isinstance(data, list | tuple):
        for item in data:
            first, *rest = _block(item, depth + 1)
            lines.extend(["- " + first, *("  " + each for each in rest)])
    return lines


def _flow(data: object, depth: int) -> str | None:
    """`data` for the rest of a line; None where it needs lines of its own."""
    if not isinstance(data, Mapping | list | tuple):
        return _scalar(data)
    if depth > MAX_DEPTH:
        raise ValueError(f"nested more than {MAX_DEPTH} deep")
    if isinstance(data, Mapping):
        return None if data else "{}"
    parts = [_flow(each, depth + 1) for each in data]
    text = "[" + ", ".join(part or "" for part in parts) + "]"
    return None if None in parts or len(text) > MAX_FLOW_LENGTH else text


def _key(key: object) -> str:
    if not isinstance(key, str):
        raise TypeError(f"a key must be a string, but is {shown(key)}")
    text = _scalar(key)
    if len(text) > MAX_KEY_LENGTH:
        raise ValueError(f"the key {shown(key)} is longer than {MAX_KEY_LENGTH} characters")
    return text


def _scalar(value: object) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int):
        text = int.__repr__(value)
        if len(text.lstrip("-")) > MAX_DIGITS:
            raise ValueError(f"an integer of more than {MAX_DIGITS} digits")
        return text
    if isinstance(value, float):
        text = float.__repr__(value)
        return text.replace("inf", ".inf").replace("nan", ".nan")
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if isinstance(value, str):
        safe = _SAFE.fullmatch(value) and value.lower() not in _UNSAFE_WORDS
        return "".join(value) if safe else '"' + "".join(map(_escaped, value)) + '"'
    raise TypeError(f"cannot write a {type(value).__name__} as YAML")


def _escaped(char: str) -> str:
    code = ord(char)
    if char in _ESCAPES or char.isprintable():
        return _ESCAPES.get(char, char)
    if 0xD800 <= code <= 0xDFFF:
        raise ValueError(f"half a character (U+{code:04X}) cannot be written")
    return f"\\x{code:02x}" if code <= 0xFF else f"\\U{code:08x}"
