"""Properties of a text that a unit may follow, each a function to a number for each character.

Each looks back only: the number of a character follows from the text up to it and with it, which
is what a state has read. Whatever is open (a quote, a bracket, a sentence) ends at an empty line.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
Property = Callable[[str], Numbers]
"""From a text to a number for each of its characters, `[characters]`."""

_ENDS: Final = "\n\v\f\r\x85\u2028\u2029"
_VOWELS: Final = frozenset("aeiouAEIOUyYäöüÄÖÜáéíóúàèìòùâêîôûåæøœ")


def _is(test: Callable[[str], bool]) -> Property:
    """1 where `test` holds for the character."""
    return lambda text: np.fromiter(map(test, text), np.float64, len(text))


def _after(test: Callable[[str], bool]) -> Property:
    """1 where `test` holds for the character before."""
    return lambda text: np.concatenate([[0.0], _is(test)(text)])[: len(text)]


def _is_line_end(char: str) -> bool:
    return char in _ENDS


def _is_punctuation(char: str) -> bool:
    return not char.isalnum() and not char.isspace()


def _scan(step: Callable[[float, str, str], float], text: str) -> Numbers:
    """The number of each character by `step(number before, character before, character)`; from 0,
    and from 0 again behind an empty line. Before the text there is a line end."""
    found, number, before = [], 0.0, "\n"
    for char in text:
        empty_line = before in _ENDS and char in _ENDS
        number = 0.0 if empty_line else step(number, before, char)
        found.append(number)
        before = char
    return np.array(found, np.float64)


def _scanned(step: Callable[[float, str, str], float]) -> Property:
    return partial(_scan, step)


def _position_in_line(number: float, before: str, char: str) -> float:
    """0 for the first character of a line; the end of a line belongs to it."""
    return 0.0 if before in _ENDS else number + 1


def _position_in_word(number: float, before: str, char: str) -> float:
    """1 for the first letter of a word, 0 outside of words."""
    return number + 1 if char.isalnum() or char == "_" else 0.0


def _position_in_sentence(number: float, before: str, char: str) -> float:
    return 0.0 if before in ".!?" and char.isspace() else number + 1


def _in_capitalized(number: float, before: str, char: str) -> float:
    """1 in a word whose first letter is a capital."""
    if not char.isalpha():
        return 0.0
    return number if before.isalpha() else float(char.isupper())


def _in_comment(number: float, before: str, char: str) -> float:
    """1 from a # to the end of its line."""
    return float(char not in _ENDS and (number > 0 or char == "#"))


def _quoted(mark: str, number: float, before: str, char: str) -> float:
    """1 from an opening mark on, 0 from the closing one. An apostrophe in a word opens nothing."""
    if char != mark or before == "\\":
        return number
    return 0.0 if number else float(mark == '"' or not before.isalnum())


def _depth(opening: str, closing: str, number: float, before: str, char: str) -> float:
    """How many brackets are open, the one that opens here included, the one that closes not."""
    return max(number + (char in opening) - (char in closing), 0.0)


def _inside(opening: str, closing: str) -> Property:
    depth = partial(_depth, opening, closing)
    return lambda text: np.minimum(_scan(depth, text), 1)


def _indentation(text: str) -> Numbers:
    """How many spaces and tabs have begun the line so far."""
    found, indent, leading = [], 0.0, True
    for char in text:
        if char in _ENDS:
            indent, leading = 0.0, True
        elif leading and char in " \t":
            indent += 1
        else:
            leading = False
        found.append(indent)
    return np.array(found, np.float64)


def _in_indentation(text: str) -> Numbers:
    """1 at the spaces and tabs that begin a line."""
    return np.diff(_indentation(text), prepend=0.0).clip(min=0)


PROPERTIES: Final[Mapping[str, Property]] = {
    "letter": _is(str.isalpha),
    "vowel": _is(_VOWELS.__contains__),
    "capital": _is(str.isupper),
    "digit": _is(str.isdigit),
    "space": _is(str.isspace),
    "punctuation": _is(_is_punctuation),
    "line end": _is(_is_line_end),
    "after a vowel": _after(_VOWELS.__contains__),
    "after a capital": _after(str.isupper),
    "after a digit": _after(str.isdigit),
    "after a space": _after(str.isspace),
    "after punctuation": _after(_is_punctuation),
    "after a line end": _after(_is_line_end),
    "position in the word": _scanned(_position_in_word),
    "in a capitalized word": _scanned(_in_capitalized),
    "position in the line": _scanned(_position_in_line),
    "position in the sentence": _scanned(_position_in_sentence),
    "indentation of the line": _indentation,
    "in the indentation": _in_indentation,
    "in a comment": _scanned(_in_comment),
    "inside double quotes": _scanned(partial(_quoted, '"')),
    "inside single quotes": _scanned(partial(_quoted, "'")),
    "inside curved quotes": _inside("\u201c\u2018\u00ab", "\u201d\u2019\u00bb"),
    "inside round brackets": _inside("(", ")"),
    "inside square brackets": _inside("[", "]"),
    "inside braces": _inside("{", "}"),
    "depth of brackets": _scanned(partial(_depth, "([{", ")]}")),
}
