"""Showing arbitrary text: nothing in it acts on the page, nothing in it is invisible."""

from __future__ import annotations

import html
import unicodedata

# Kept as they are: line ends and tabs (the style sheet preserves them), and the two joiners,
# without which Persian, Hindi and many an emoji are spelt wrongly.
_PLAIN = frozenset("\n\t\u200c\u200d")
_CODED_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def visible(text: str) -> str:
    """The text with codes such as \\x1b and \\u202e for all that would act or not show."""
    return "".join(_code(character) or character for character in text)


def as_html(text: str) -> str:
    """The text as HTML content in which the codes are marked as such."""
    return "".join(_marked(character) for character in text)


def beginning(text: str, most: int = 800) -> str:
    """The text as HTML content if it has no more than `most` characters, else its first ones and
    how many follow; what is empty says so."""
    if not text:
        return '<span class="code">(empty)</span>'
    left_out = len(text) - most
    more = f' <span class="code">\u2026 {left_out:,} more</span>' if left_out > 0 else ""
    return f"{as_html(text[:most])}{more}"


def as_attribute(text: str) -> str:
    """The text for where HTML allows no marks: an attribute in double quotes, the title."""
    return html.escape(visible(text))


def token_label(token: str) -> str:
    """A token as HTML content in which its spaces and line ends show, for labels of one line."""
    shown = token.replace(" ", "\u2423").replace("\n", "\u21b5").replace("\t", "\u21e5")
    return as_html(shown) if shown else '<span class="code">(empty)</span>'


def _marked(character: str) -> str:
    code = _code(character)
    return html.escape(character) if code is None else f'<span class="code">{code}</span>'


def _code(character: str) -> str | None:
    """What stands for a character that would not show, or None if it may stand for itself.

    A code and no picture such as U+241B: many a machine has no letters for those.
    """
    point = ord(character)
    if character in _PLAIN:
        return None
    # Noncharacters have no category of their own, and HTML forbids them.
    noncharacter = point & 0xFFFE == 0xFFFE or 0xFDD0 <= point <= 0xFDEF
    if not noncharacter and unicodedata.category(character) not in _CODED_CATEGORIES:
        return None
    if point <= 0xFF:
        return f"\\x{point:02x}"
    return f"\\u{point:04x}" if point <= 0xFFFF else f"\\U{point:08x}"
