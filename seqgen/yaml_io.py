"""YAML text to PyYAML's events, with everything refused that this small, strict YAML has not.

A file is small and shallow, and holds one document without tags, anchors and tabs. Each event is
checked before more of the text is scanned, so a hostile file costs no more than a wrong one.
"""

from __future__ import annotations

import os
import re
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from seqgen.errors import RecipeError
from seqgen.options import KeyPath, dotted, shown

MAX_BYTES = 64 * 1024
MAX_DEPTH = 32
MAX_DIGITS = 100

# What YAML calls unprintable, tabs, and the line breaks that only YAML 1.1 knows.
_FORBIDDEN = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")


@dataclass(frozen=True)
class Mark:
    """A place in a text; both numbers start at 1."""

    line: int
    column: int


class PlacedError(ValueError):
    """What is wrong with a text, and where."""

    def __init__(self, mark: Mark, message: str) -> None:
        super().__init__(message)
        self.mark = mark


def decode(content: bytes) -> str:
    r"""The `content` of a file as text, with `\n` for line ends. Errors: PlacedError."""
    if len(content) > MAX_BYTES:
        message = f"more than {MAX_BYTES // 1024} KiB of text ({len(content)} bytes)"
        raise PlacedError(Mark(1, 1), message)
    if content.startswith((BOM_UTF16_BE, BOM_UTF16_LE)):
        raise PlacedError(Mark(1, 1), "this is UTF-16; save the file as UTF-8")
    body = content.removeprefix(BOM_UTF8)
    try:
        return _with_plain_line_ends(body.decode())
    except UnicodeDecodeError as error:
        at = error.start + len(content) - len(body)
        before = _with_plain_line_ends(body[: error.start].decode())
        message = f"byte {at} (0x{content[at]:02x}) is not UTF-8; save the file as UTF-8"
        raise PlacedError(_end(before), message) from None


def events(text: str) -> Iterator[yaml.Event]:
    """The events of the one document in `text`. Errors: PlacedError."""
    _refuse_characters(text)
    loader = _Loader(text)
    depth = documents = 0
    try:
        while loader.check_event():
            event: yaml.Event = loader.get_event()  # type: ignore[no-untyped-call]
            documents += isinstance(event, yaml.DocumentStartEvent)
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            if depth > MAX_DEPTH:
                raise _too_deep(event.start_mark)
            _refuse_features(event, documents)
            yield event
    except PlacedError:
        raise
    except yaml.MarkedYAMLError as error:
        raise _in_one_line(error) from None
    except (yaml.YAMLError, ValueError, OverflowError):  # PyYAML's own slips: "\UFFFFFFFF"
        message = "a number in an escape or a directive that is out of range"
        raise PlacedError(mark_of(loader.get_mark()), message) from None
    finally:
        loader.dispose()


def mark_of(mark: Any) -> Mark:
    """PyYAML's `mark`, whose numbers start at 0, as ours."""
    return Mark(mark.line + 1, mark.column + 1)


class _Loader(yaml.SafeLoader):
    """PyYAML's loader, stopped at a depth: while it looks ahead for keys it is quadratic in it."""

    def fetch_flow_collection_start(self, TokenClass: Any) -> None:  # noqa: N803
        """Open a `[` or a `{`, but not too many."""
        if self.flow_level >= MAX_DEPTH:
            raise _too_deep(self.get_mark())
        super().fetch_flow_collection_start(TokenClass)


def _too_deep(mark: Any) -> PlacedError:
    return PlacedError(mark_of(mark), f"nested more than {MAX_DEPTH} deep")


def _with_plain_line_ends(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _end(text: str) -> Mark:
    """The place just behind `text`."""
    return Mark(text.count("\n") + 1, len(text) - text.rfind("\n"))


def _refuse_characters(text: str) -> None:
    found = _FORBIDDEN.search(text)
    if found is None:
        return
    if found[0] == "\t":
        message = 'a tab; indent with spaces, or write "\\t" in double quotes'
    else:
        message = f"the character U+{ord(found[0]):04X}; write it as an escape in double quotes"
    raise PlacedError(_end(text[: found.start()]), message)


def _refuse_features(event: yaml.Event, documents: int) -> None:
    message = ""
    if isinstance(event, yaml.AliasEvent):
        message = f"the alias {shown(f'*{event.anchor}')}; write the value twice"
    elif isinstance(event, yaml.NodeEvent) and event.anchor is not None:
        message = f"the anchor {shown(f'&{event.anchor}')}; write the value twice"
    elif isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent) and event.tag is not None:
        tag = event.tag.replace("tag:yaml.org,2002:", "!!")
        message = f"the tag {shown(tag)}; write a plain value, or quote the string"
    elif isinstance(event, yaml.DocumentStartEvent):
        if documents > 1:
            message = "a second document; a file holds one"
        elif event.tags or event.version not in (None, (1, 2)):
            message = "a % directive; leave the line out (this is YAML 1.2 without tags)"
    if message:
        raise PlacedError(mark_of(event.start_mark), message)


def _in_one_line(error: yaml.MarkedYAMLError) -> PlacedError:
    message = error.problem or "malformed"
    if message.startswith("expected '<document start>'"):
        message = "this belongs to nothing before it; check the indentation and the brackets"
    elif message.startswith("mapping values are not allowed"):
        message = "a ':' where none can be; check the indentation, or quote the string"
    elif error.context:
        began = error.context_mark
        place = f" that begins at {began.line + 1}:{began.column + 1}" if began else ""
        message += f" ({error.context}{place})"
    mark = error.problem_mark or error.context_mark
    return PlacedError(mark_of(mark) if mark else Mark(1, 1), message[:200])


# YAML text to plain data, with the place of every key and value.
#
# Scalars mean what YAML 1.2's core schema says: `1e-3` is a number, `no` and `12:30` are strings.


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
    keys: Mapping[KeyPath, Mark]
    values: Mapping[KeyPath, Mark]


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

    path: KeyPath
    node: dict[str, object] | list[object]
    key: str | None = None


class _Builder:
    """Plain data from events, by a stack instead of recursion."""

    def __init__(self) -> None:
        self._root: object = None
        self._keys: dict[KeyPath, Mark] = {}
        self._values: dict[KeyPath, Mark] = {}
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

    def _add(self, value: object, mark: Mark) -> KeyPath:
        path: KeyPath = ()
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


def _one_line(path: KeyPath) -> str:
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


# Plain data to YAML text that `yaml_loader` reads back as the same data.


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
