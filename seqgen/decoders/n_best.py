"""NBest, the best hypotheses that a search has found so far."""

from __future__ import annotations

from bisect import insort_right
from collections.abc import Iterable

from seqgen.decoders.base import Hypothesis


def standing(hypothesis: Hypothesis) -> float:
    """What hypotheses are sorted by: the rank, or the score where there is none."""
    return hypothesis.score if hypothesis.rank is None else hypothesis.rank


class NBest:
    """At most `size` hypotheses, the best first; of equals, the one that was found first."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.hypotheses: list[Hypothesis] = []

    def add(self, hypothesis: Hypothesis) -> None:
        """Enter `hypothesis`, which may push out the last one, or be too low itself."""
        insort_right(self.hypotheses, hypothesis, key=lambda each: -standing(each))
        del self.hypotheses[self.size :]

    @property
    def threshold(self) -> float:
        """The standing that one must exceed to enter."""
        full = len(self.hypotheses) == self.size
        return standing(self.hypotheses[-1]) if full else float("-inf")


def merge(lists: Iterable[NBest], size: int) -> list[Hypothesis]:
    """The `size` best of all `lists`, each sequence once."""
    every = (hypothesis for each in lists for hypothesis in each.hypotheses)
    distinct: dict[tuple[int, ...], Hypothesis] = {}
    for hypothesis in sorted(every, key=standing, reverse=True):
        distinct.setdefault(hypothesis.tokens, hypothesis)
    return list(distinct.values())[:size]
