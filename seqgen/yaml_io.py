"""YAML text to plain data with the place of every key and value, and plain data back to YAML text.

The YAML is small and strict: one document of at most 64 KiB without tags, anchors, tabs and
duplicate keys, whose scalars mean what YAML 1.2's core schema says: `1e-3` is a number, `no` and
`12:30` are strings. Such features are refused before more of the text is scanned, so a hostile file
costs no more than a wrong one.
"""

from __future__ import annotations

import os
import re
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from seqgen.errors import RecipeError
from seqgen.options import KeyPath, dotted, shown

MAX_BYTES = 64 * 1024
MAX_DEPTH = 32
MAX_DIGITS = 100
MAX_KEY_LENGTH = 1024  # of a key without `?`, by the YAML specification
MAX_FLOW_LENGTH = 80

# What YAML calls unprintable, tabs, and the line breaks that only YAML 1.1 knows.
_FORBIDDEN = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_INFINITY = re.compile(r"[-+]?\.(inf|Inf|INF)")
_WORDS: dict[str, object] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}
# What is a string to every reader of YAML; `no`, `on` and the like are booleans to some.
_SAFE = re.compile(r"(\.{0,2}/|[^\W\d])[\w./+-]*( [\w./+][\w./+]*)*")
_UNSAFE_WORDS = {"null", "true", "false", "yes", "no", "on", "off", "y", "n"}
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t"}


@dataclass(frozen=True)
class Mark:
    """A place in a text; both numbers start at 1, or are 0 for the whole of `file`, which is named
    where it is another one."""

    line: int
    column: int
    file: str = ""

    def __str__(self) -> str:
        numbers = (self.line, self.column) if self.line else ()
        return ":".join(map(str, (*filter(None, [self.file]), *numbers)))


@dataclass(frozen=True)
class Document:
    """Plain data, with the place of each key and of each value; the path () is the whole."""

    data: object
    keys: Mapping[KeyPath, Mark]
    values: Mapping[KeyPath, Mark]


class PlacedError(ValueError):
    """What is wrong with a text, and where."""

    def __init__(self, mark: Any, message: str) -> None:
        super().__init__(message)
        self.mark = mark if isinstance(mark, Mark) else _mark_of(mark)


def load_document(content: bytes, name: str, *, mapping: bool = True) -> Document:
    """Read a file's `content`, a `mapping` or else any value.

    `name` is what a RecipeError calls the file.
    """
    try:
        built = _Builder(_compose(_decode(content)))
    except PlacedError as fault:
        raise RecipeError(f"{name}:{fault.mark}: {fault}") from None
    if mapping and not isinstance(built.data, dict):
        what = "is empty" if built.data is None else f"is {shown(built.data)}"
        mark = built.values.get((), Mark(1, 1))
        message = f"the file must hold a mapping (key: value), but {what}"
        raise RecipeError(f"{name}:{mark}: {message}")
    return Document(built.data, built.keys, built.values)


def parse_value(text: str) -> object:
    """The value that an override gives: a scalar, or a list or mapping in flow style.

    Raises ValueError if `text` is empty or malformed, or if part of it (a comment) would be lost.
    """
    if not text.strip():
        raise ValueError("the value is empty (write null, or '' for an empty string)")
    if len(text) > MAX_BYTES or "\n" in text:
        raise ValueError(f"the value must be on one line of at most {MAX_BYTES // 1024} KiB")
    try:
        node = _compose(text)
        flow = {None, "'", '"'} if isinstance(node, yaml.ScalarNode) else {True}
        style = getattr(node, "style", None) or getattr(node, "flow_style", None)
        whole = node is not None and not text[node.end_mark.index :].strip()
        if not whole or style not in flow or text.startswith("---"):
            raise ValueError("not one plain value; put quotes around a string with signs in it")
        return _Builder(node).data
    except PlacedError as fault:
        raise ValueError(f"malformed at character {fault.mark.column}: {fault}") from None


def _decode(content: bytes) -> str:
    r"""The `content` of a file as text, with `\n` for line ends."""
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


def _with_plain_line_ends(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _end(text: str) -> Mark:
    """The place just after `text`."""
    return Mark(text.count("\n") + 1, len(text) - text.rfind("\n"))


def _mark_of(mark: Any) -> Mark:
    """PyYAML's `mark`, whose numbers start at 0, as ours."""
    return Mark(mark.line + 1, mark.column + 1)


def _compose(text: str) -> yaml.Node | None:
    """The tree of the one document in `text`; None if there is no document."""
    found = _FORBIDDEN.search(text)
    if found is not None:
        message = f"the character U+{ord(found[0]):04X}; write it as an escape in double quotes"
        if found[0] == "\t":
            message = 'a tab; indent with spaces, or write "\\t" in double quotes'
        raise PlacedError(_end(text[: found.start()]), message)
    loader = _Loader(text)
    try:
        return loader.compose_document()
    except PlacedError:
        raise
    except yaml.MarkedYAMLError as error:
        raise _in_one_line(error) from None
    except (yaml.YAMLError, ValueError, OverflowError):  # PyYAML's own slips: "\UFFFFFFFF"
        message = "a number in an escape or a directive that is out of range"
        raise PlacedError(loader.get_mark(), message) from None
    finally:
        loader.dispose()


class _Loader(yaml.SafeLoader):
    """PyYAML's composer without tags, anchors, directives and great depth."""

    depth = 0

    def fetch_flow_collection_start(self, TokenClass: Any) -> None:  # noqa: N803
        """Open a `[` or a `{`, but not too many: looking ahead for keys is quadratic in them."""
        self._refuse_depth(self.flow_level, self.get_mark())
        super().fetch_flow_collection_start(TokenClass)

    def compose_document(self) -> yaml.Node | None:
        """The root of the only document."""
        self.get_event()
        if self.check_event(yaml.StreamEndEvent):
            return None
        start: Any = self.get_event()
        if start.tags or start.version not in (None, (1, 2)):
            message = "a % directive; leave the line out (this is YAML 1.2 without tags)"
            raise PlacedError(start.start_mark, message)
        root: yaml.Node | None = self.compose_node(None, None)
        self.get_event()
        if not self.check_event(yaml.StreamEndEvent):
            mark = self.peek_event().start_mark
            raise PlacedError(mark, "a second document; a file holds one")
        return root

    def compose_node(self, parent: Any, index: Any) -> Any:
        """The next node, if it is of plain YAML."""
        event = self.peek_event()
        message = ""
        if isinstance(event, yaml.AliasEvent):
            message = f"the alias {shown(f'*{event.anchor}')}; write the value twice"
        elif event.anchor is not None:
            message = f"the anchor {shown(f'&{event.anchor}')}; write the value twice"
        elif event.tag is not None:
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")
            message = f"the tag {shown(tag)}; write a plain value, or quote the string"
        if message:
            raise PlacedError(event.start_mark, message)
        inside = isinstance(event, yaml.CollectionStartEvent)
        self._refuse_depth(self.depth if inside else 0, event.start_mark)
        self.depth += inside
        node = super().compose_node(parent, index)
        self.depth -= inside
        return node

    @staticmethod
    def _refuse_depth(depth: int, mark: Any) -> None:
        if depth >= MAX_DEPTH:
            raise PlacedError(mark, f"nested more than {MAX_DEPTH} deep")


def _in_one_line(error: yaml.MarkedYAMLError) -> PlacedError:
    message = error.problem or "malformed"
    if message.startswith("expected '<document start>'"):
        message = "this belongs to nothing before it; check the indentation and the brackets"
    elif message.startswith("mapping values are not allowed"):
        message = "a ':' where none can be; check the indentation, or quote the string"
    elif error.context:
        began = error.context_mark
        place = f" that begins at {_mark_of(began)}" if began else ""
        message += f" ({error.context}{place})"
    return PlacedError(error.problem_mark or error.context_mark or Mark(1, 1), message[:200])


class _Builder:
    """Plain data from the nodes below `root`, with the place of each key and value."""

    def __init__(self, root: yaml.Node | None) -> None:
        self.keys: dict[KeyPath, Mark] = {}
        self.values: dict[KeyPath, Mark] = {}
        self.data = None if root is None else self._value(root, ())

    def _value(self, node: Any, path: KeyPath) -> object:
        mark = self.values[path] = _mark_of(node.start_mark)
        if isinstance(node, yaml.MappingNode):
            named = ((self._key(key, path), value) for key, value in node.value)
            return {name: self._value(value, (*path, name)) for name, value in named}
        if isinstance(node, yaml.SequenceNode):
            return [self._value(item, (*path, i)) for i, item in enumerate(node.value)]
        text = _string_of(node)
        if node.style is not None:
            return text
        try:
            return _meaning(text)
        except ValueError as error:
            raise PlacedError(mark, str(error)) from None

    def _key(self, node: yaml.Node, inside: KeyPath) -> str:
        mark = _mark_of(node.start_mark)
        if not isinstance(node, yaml.ScalarNode):
            raise PlacedError(mark, "a list or mapping as a key; a key must be a string")
        if node.value == "<<" and node.style is None:
            raise PlacedError(mark, "the merge key <<; write the keys out")
        path = (*inside, _string_of(node))
        first = self.keys.setdefault(path, mark)
        if first is not mark:
            text = dotted(path)
            text = text if text.isprintable() and len(text) <= 100 else shown(text)
            raise PlacedError(mark, f"{text}: duplicate key; the first is at {first}")
        return str(node.value)


def _string_of(node: yaml.Node) -> str:
    if _SURROGATE.search(node.value):
        message = 'half a character, by an escape; write "\\U0001F600" as one'
        raise PlacedError(node.start_mark, message)
    return str(node.value)


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
    return float(text.replace(".", "")) if _INFINITY.fullmatch(text) else text


def dump(data: object) -> str:
    """`data` as block YAML that reads back as the same data (a tuple as list, a path as string).

    Raises TypeError if `data` is not plain, ValueError if no recipe could hold it.
    """
    return "\n".join(_block(data, depth=1)) + "\n"


def _block(data: object, depth: int) -> list[str]:
    """The lines of `data`, which is inside `depth - 1` collections."""
    line = _flow(data, depth)
    if line is not None:
        return [line]
    lines: list[str] = []
    if isinstance(data, Mapping):
        for key, value in data.items():
            line = _flow(value, depth + 1)
            lines += [f"{_key(key)}:" if line is None else f"{_key(key)}: {line}"]
            lines += ["  " + each for each in _block(value, depth + 1)] if line is None else []
    elif isinstance(data, list | tuple):
        for item in data:
            first, *rest = _block(item, depth + 1)
            lines += ["- " + first, *("  " + each for each in rest)]
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
