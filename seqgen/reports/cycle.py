"""Finding the cycle that a generated text falls into."""

from __future__ import annotations

from dataclasses import dataclass

REPEATS = 3
"""How often a cycle must be gone through, the last time perhaps not to its end."""
SHORTEST = 12
"""How many characters must be periodic: "hahaha" and a dotted ending are no cycles."""


@dataclass(frozen=True)
class Cycle:
    """From index `start` on, the text goes round `unit` to its end.

    The unit begins with a word if it has one ("the first the counters to " rather than "rst the
    counters to the fi"), so the text need not enter it at its beginning.
    """

    start: int
    unit: str


def find_cycle(text: str) -> Cycle | None:
    """The shortest cycle of which the end of the text, at least a third of it, consists."""
    matches = _self_matches(text[::-1])
    for period in range(1, len(text) // REPEATS + 1):
        # The reversed text equals itself, moved by `period`, for as long as the end is periodic.
        periodic = period + matches[period]
        if periodic >= max(REPEATS * period, SHORTEST, len(text) / 3):
            start = len(text) - periodic
            return Cycle(start, _from_a_word_on(text[start : start + period]))
    return None


def _from_a_word_on(unit: str) -> str:
    for index, character in enumerate(unit):
        if unit[index - 1].isspace() and not character.isspace():  # before the first is the last
            return unit[index:] + unit[:index]
    return unit


def _self_matches(text: str) -> list[int]:
    """For each position, how many characters from there equal the text's beginning (Z-function)."""
    matches = [0] * len(text)
    left = right = 0  # the match that reaches furthest: text[left:right] == text[: right - left]
    for position in range(1, len(text)):
        length = min(right - position, matches[position - left]) if position < right else 0
        while position + length < len(text) and text[length] == text[position + length]:
            length += 1
        matches[position] = length
        if position + length > right:
            left, right = position, position + length
    return matches
