"""Finding the cycle that a generated text falls into, and saying where it begins."""

from __future__ import annotations

from dataclasses import dataclass

from seqgen.metrics.diversity import SHORTEST, find_loop


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
    third = -(-len(text) // 3)
    loop = find_loop(text, max(SHORTEST, third))
    if loop is None:
        return None
    return Cycle(loop.start, _from_a_word_on(text[loop.start : loop.start + loop.period]))


def _from_a_word_on(unit: str) -> str:
    for index, character in enumerate(unit):
        if unit[index - 1].isspace() and not character.isspace():  # before the first is the last
            return unit[index:] + unit[:index]
    return unit
