"""YAML text to PyYAML's events, with everything refused that this small, strict YAML has not.

A file is small and shallow, and holds one document without tags, anchors and tabs. Each event is
checked before more of the text is scanned, so a hostile file costs no more than a wrong one.
"""

from __future__ import annotations

import re
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from seqgen.plain_values import shown

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
