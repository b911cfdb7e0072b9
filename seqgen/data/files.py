"""Reading a file: its bytes, its text, and what identifies it."""

from __future__ import annotations

import hashlib
import re
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from seqgen.errors import DataError
from seqgen.files import display_path, read_bytes

_REPLACEMENT = "\ufffd"


@dataclass(frozen=True)
class TextFile:
    """A text, the SHA-256 of the bytes it came from, and how many faults were replaced in it."""

    text: str
    sha256: str
    replaced: int = 0

    @classmethod
    def of(cls, text: str) -> TextFile:
        """A text that comes from no file, with the SHA-256 of its bytes in UTF-8."""
        return cls(text, hashlib.sha256(text.encode()).hexdigest())


def replaced_remark(name: str, count: int) -> str:
    """What to say of a file in which `count` faults of the encoding were replaced."""
    return f"{name}: {count} fault{'s' if count > 1 else ''} of the encoding read as U+FFFD"


def read_text(path: Path, errors: Literal["strict", "replace"] = "strict") -> TextFile:
    r"""Read a UTF-8 file.

    A byte order mark is taken off, and each `\r\n` and each `\r` alone becomes `\n`; nothing else
    is changed. The hash is that of the bytes as they are. With `errors="replace"` each fault of
    the encoding becomes U+FFFD and is counted. An empty file is the empty text.

    Errors: DataError, in one line, where there is no such file, or no UTF-8 text in it.
    """
    content = read_bytes(path, DataError, wanted="a text file")
    return as_text(content, display_path(path), errors, " (set errors: replace to go on)")


def as_text(
    content: bytes, name: str, errors: Literal["strict", "replace"] = "strict", advice: str = ""
) -> TextFile:
    """The bytes of a file as `read_text` reads them; `name` is what an error calls the file, and
    `advice` what one of its encoding ends in."""
    if content.startswith((BOM_UTF16_BE, BOM_UTF16_LE)):
        raise DataError(f"{name}: this is UTF-16; save the file as UTF-8")
    try:
        text = content.decode(errors=errors)
    except UnicodeDecodeError as error:
        at = error.start
        line = len(re.findall(rb"\r\n?|\n", content[:at])) + 1
        raise DataError(f"{name}:{line}: invalid UTF-8 at byte {at}{advice}") from None
    replaced = text.count(_REPLACEMENT) - content.count(_REPLACEMENT.encode())
    if content.startswith(BOM_UTF8):
        text = text[1:]
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return TextFile(text, hashlib.sha256(content).hexdigest(), replaced)
