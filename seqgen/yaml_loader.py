"""YAML text to plain data, with the place of every key and value.

Scalars mean what YAML 1.2's core schema says: `1e-3` is a number, `no` and `12:30` are strings.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from seqgen.errors import RecipeError
from seqgen.options import Path, dotted
from seqgen.plain_values import shown
from seqgen.yaml_dumper import dump
from seqgen.yaml_events import (
    MAX_BYTES,
    MAX_DIGITS,
    Mark,
    PlacedError,
    decode,
    events,
    mark_of,
)

__all__ = ["Document", "Mark", "dump", "load_document", "parse_value"]

_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_INFINITY = re.compile(r"[-+]?\.(inf|Inf|INF)")
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_WORDS: dict[str, object] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}


@dataclass(frozen=True)
class Document:
    """Plain data, with the place of each key and of each value; the path () is the whole."""

    data: object
    keys: Mapping[Path, Mark]
    values: Mapping[Path, Mark]


def load_document(content: bytes, name: str, *, mapping: bool = True) -> Document:
    """Read a file's `content`, a `mapping` or else any value.

    `name` is what a RecipeError calls the file.
    """
    try:
        document = _Builder().build(events(decode(content)))
        if mapping:
            _refuse_other_than_mapping(document)
    except PlacedError as fault:
        place = f"{name}:{fault.mark.line}:{fault.mark.column}"
        raise RecipeError(f"{place}: {fault}") from None
    return document


def parse_value(text: str) -> object:
    """The value that an override gives: a scalar, or a list or mapping in flow style.

    Errors: ValueError, where `text` is empty, is malformed, or a part of it (a comment) would
    get lost.
    """
    if not text.strip():
        raise ValueError("the value is empty (write null, or '' for an empty string)")
    if len(text) > MAX_BYTES or "\n" in text:
        raise ValueError(f"the value must be on one line of at most {MAX_BYTES // 1024} KiB")
    try:
        found = list(events(text))
        if not _stand_alone(found, text):
            raise ValueError("not one plain value; put quotes around a string with signs in it")
        return _Builder().build(found).data
    except PlacedError as fault:
        raise ValueError(f"malformed at character {fault.mark.column}: {fault}") from None


def _refuse_other_than_mapping(document: Document) -> None:
    if not isinstance(document.data, dict):
        what = "is empty" if document.data is None else f"is {shown(document.data)}"
        mark = document.values.get((), Mark(1, 1))
        raise PlacedError(mark, f"the file must hold a mapping (key: value), but {what}")


def _stand_alone(found: list[yaml.Event], text: str) -> bool:
    """Whether the events are one scalar or flow collection that takes up all of `text`."""
    if len(found) < 5 or found[1].explicit:  # type: ignore[attr-defined]
        return False
    root, end = found[2], found[-3].end_mark
    if isinstance(root, yaml.ScalarEvent):
        plain = root.style in (None, "'", '"')
    else:
        plain = isinstance(root, yaml.CollectionStartEvent) and bool(root.flow_style)
    return plain and end is not None and not text[end.index :].strip()


@dataclass
class _Open:
    """A collection whose end has not come yet; `key` waits for its value."""

    path: Path
    node: dict[str, object] | list[object]
    key: str | None = None


class _Builder:
    """Plain data from events, by a stack instead of recursion."""

    def __init__(self) -> None:
        self._root: object = None
        self._keys: dict[Path, Mark] = {}
        self._values: dict[Path, Mark] = {}
        self._stack: list[_Open] = []

    def build(self, found: Iterable[yaml.Event]) -> Document:
        for event in found:
            mark = mark_of(event.start_mark)
            if isinstance(event, yaml.ScalarEvent):
                if self._awaits_key():
                    self._add_key(event, mark)
                else:
                    self._add(_value_of(event, mark), mark)
            elif isinstance(event, yaml.CollectionStartEvent):
                if self._awaits_key():
                    raise PlacedError(mark, "a list or mapping as a key; a key must be a string")
                node: Any = {} if isinstance(event, yaml.MappingStartEvent) else []
                self._stack.append(_Open(self._add(node, mark), node))
            elif isinstance(event, yaml.CollectionEndEvent):
                self._stack.pop()
        return Document(self._root, self._keys, self._values)

    def _awaits_key(self) -> bool:
        top = self._stack[-1] if self._stack else None
        return top is not None and isinstance(top.node, dict) and top.key is None

    def _add_key(self, event: yaml.ScalarEvent, mark: Mark) -> None:
        if event.value == "<<" and event.style is None:
            raise PlacedError(mark, "the merge key <<; write the keys out")
        top = self._stack[-1]
        top.key = _string_of(event, mark)
        path = (*top.path, top.key)
        first = self._keys.setdefault(path, mark)
        if first is not mark:
            place = f"{first.line}:{first.column}"
            raise PlacedError(mark, f"{_one_line(path)}: duplicate key; the first is at {place}")

    def _add(self, value: object, mark: Mark) -> Path:
        path: Path = ()
        if not self._stack:
            self._root = value
        else:
            top = self._stack[-1]
            if isinstance(top.node, list):
                path = (*top.path, len(top.node))
                top.node.append(value)
            elif top.key is not None:
                path = (*top.path, top.key)
                top.node[top.key] = value
                top.key = None
        self._values[path] = mark
        return path


def _one_line(path: Path) -> str:
    text = dotted(path)
    return text if text.isprintable() and len(text) <= 100 else shown(text)


def _string_of(event: yaml.ScalarEvent, mark: Mark) -> str:
    if _SURROGATE.search(event.value):
        raise PlacedError(mark, 'half a character, by an escape; write "\\U0001F600" as one')
    return event.value


def _value_of(event: yaml.ScalarEvent, mark: Mark) -> object:
    text = _string_of(event, mark)
    if event.style is not None:
        return text
    try:
        return _meaning(text)
    except ValueError as error:
        raise PlacedError(mark, str(error)) from None


def _meaning(text: str) -> object:
    """What a scalar without quotes stands for."""
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        base = {"0o": 8, "0x": 16}.get(text[:2], 10)
        digits = len(text.lstrip("+-")) - (0 if base == 10 else 2)
        if digits > MAX_DIGITS:
            raise ValueError(f"an integer of {digits} digits; at most {MAX_DIGITS} are read")
        return int(text, base)
    if _FLOAT.fullmatch(text):
        return float(text)
    if _INFINITY.fullmatch(text):
        return float(text.replace(".", ""))
    return text
