"""Error rates: the edits from outputs to their nearest references, over the length of these."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from rapidfuzz.distance import Levenshtein

from seqgen.metrics.base import Answer, MetricOfSums, Numbers


class ErrorRate(MetricOfSums, ABC):
    """`sum of distance(output, nearest) / sum of length(nearest)` of what `split` makes of texts.

    The distance is the least number of items to insert, delete or replace (Levenshtein 1966). The
    nearest reference is the one at the smallest distance, of several the longest. The rate is at
    least 0; it exceeds 1 where outputs are much longer than references. Where all references are
    empty, it is the number of edits. Details: `edits` and `reference_length`.
    """

    better = "lower"
    unit = "share"

    @abstractmethod
    def split(self, text: str) -> Sequence[str]:
        """The items of a text, which can be inserted, deleted or replaced."""

    def statistics(self, answers: Sequence[Answer]) -> Numbers:
        """How far the nearest reference is, and how long: `[answers, 2]`."""
        rows = [
            nearest(self.split(answer.output), map(self.split, answer.references))
            for answer in answers
        ]
        return np.array(rows, dtype=float)

    def value(self, totals: Numbers) -> Numbers:
        """Edits over length."""
        return totals[..., 0] / np.maximum(totals[..., 1], 1)

    def details(self, answers: Sequence[Answer], totals: Numbers) -> dict[str, Any]:
        """Both sums."""
        return {"edits": int(totals[0]), "reference_length": int(totals[1])}


def nearest(output: Sequence[str], references: Iterable[Sequence[str]]) -> tuple[int, int]:
    """How far the nearest reference is, and how long."""
    found = ((Levenshtein.distance(output, each), len(each)) for each in references)
    return min(found, key=lambda each: (each[0], -each[1]))
