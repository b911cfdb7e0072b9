"""UTF-8 that comes in pieces: the text of bytes, some of which may be missing yet."""

from __future__ import annotations

import codecs

REPLACEMENT = "\ufffd"


def text_so_far(content: bytes) -> str:
    """The characters in `content`; faulty bytes are U+FFFD.

    A character at the end that has not all its bytes yet is nothing, so the text of a longer
    `content` always begins with the text of a shorter one.
    """
    return codecs.getincrementaldecoder("utf-8")("replace").decode(content)


def shown_byte(byte: int) -> str:
    """Such as `<0xE2>`, for a byte that is no character by itself."""
    return f"<0x{byte:02X}>"
