"""Confusion: how often each label came out for each that was right, and what follows from it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

NONE = ""
"""Stands for a label that is missing on one side: no output, or nothing that it should be."""

Pair = tuple[str, str]
"""The label that was right, and the one that came out."""


def right(pairs: Iterable[Pair]) -> int:
    """How many of them are of equal labels."""
    return sum(reference == output for reference, output in pairs)


@dataclass(frozen=True)
class Scores:
    """How well one label is told from the others; `count` is how often it was right."""

    precision: float
    recall: float
    f1: float
    count: int


class Confusion:
    """Counts of pairs: the label that was right, and the one that came out.

    Where `paired` is false, a label may lack a partner, for which NONE stands; it is no label then.
    """

    def __init__(self, pairs: Iterable[Pair], paired: bool = True) -> None:
        self.counts = Counter(pairs)
        right, came = Counter[str](), Counter[str]()
        for (reference, output), count in self.counts.items():
            right[reference] += count
            came[output] += count
        labels = sorted(right.keys() | came.keys())
        self.scores = {
            label: _scores(self.counts[label, label], came[label], right[label])
            for label in labels
            if paired or label != NONE
        }

    @property
    def total(self) -> int:
        """The number of pairs."""
        return self.counts.total()

    @property
    def correct(self) -> int:
        """The number of pairs of equal labels."""
        return sum(
            count for (reference, output), count in self.counts.items() if reference == output
        )

    def details(self) -> dict[str, Any]:
        """`classes`, the scores of each label, and `confusion`, `{reference: {output: count}}`,
        which leaves out zeros; both sorted by label."""
        matrix: dict[str, dict[str, int]] = {}
        for (reference, output), count in sorted(self.counts.items()):
            matrix.setdefault(reference, {})[output] = count
        classes = {label: asdict(scores) for label, scores in self.scores.items()}
        return {"classes": classes, "confusion": matrix}


def _scores(hits: int, came: int, right: int) -> Scores:
    """A share of nothing is 0: a label that never came has the precision 0."""
    return Scores(
        precision=hits / came if came else 0.0,
        recall=hits / right if right else 0.0,
        f1=2 * hits / (came + right),
        count=right,
    )
