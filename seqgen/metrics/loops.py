"""Loops: outputs that end by going round and round."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

REPEATS = 3
"""How often a loop must be gone through."""
SHORTEST = 12
"""How many tokens must go round: "hahaha" and a dotted ending are no loops."""


class Loop(NamedTuple):
    """From index `start` to the end, each token is the one that stands `period` tokens later."""

    start: int
    period: int


def find_loop(tokens: Sequence[str], shortest: int = SHORTEST) -> Loop | None:
    """The loop with the shortest period that `tokens` end in, from where it begins; None if none.

    The end of `tokens` is a loop if it consists of at least three repeats of a block (and perhaps a
    part of one), and has at least `shortest` tokens. A text is a sequence of its characters. Time
    and memory grow with the number of tokens, and no faster.
    """
    matches = _self_matches(tokens[::-1])
    for period in range(1, len(tokens) // REPEATS + 1):
        # Reversed, the tokens equal themselves, moved by `period`, while the end goes round.
        length = period + matches[period]
        if length >= max(REPEATS * period, shortest):
            return Loop(len(tokens) - length, period)
    return None


def looping(outputs: Sequence[Sequence[str]], shortest: int = SHORTEST) -> float | None:
    """`outputs that end in a loop / outputs`, from 0 to 1; see `find_loop`.

    Such an output would most likely go on like this for ever. Three repeats at the end are what
    Holtzman et al. (2020) ask for as well. An empty output does not loop. None without outputs.
    """
    if not outputs:
        return None
    return sum(find_loop(each, shortest) is not None for each in outputs) / len(outputs)


def _self_matches(tokens: Sequence[str]) -> list[int]:
    """How many tokens from each position on equal the first ones (Z-function; Gusfield 1997)."""
    matches = [0] * len(tokens)
    left = right = 0  # the match that reaches furthest: tokens[left:right] == tokens[:right - left]
    for position in range(1, len(tokens)):
        length = min(right - position, matches[position - left]) if position < right else 0
        while position + length < len(tokens) and tokens[length] == tokens[position + length]:
            length += 1
        matches[position] = length
        if position + length > right:
            left, right = position, position + length
    return matches
