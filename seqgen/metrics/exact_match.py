"""The metric `exact_match`: how many outputs are right as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from seqgen.metrics.base import Answer, MetricOfSums, Numbers, metrics
from seqgen.metrics.shares import share


@metrics.register("exact_match")
class ExactMatch(MetricOfSums):
    """The share of outputs that equal one of their references, character by character.

    `correct / answers`, from 0 to 1; details: both. Where outputs are classes, `accuracy` has the
    same value, and says more.
    """

    better = "higher"
    unit = "share"

    def statistics(self, answers: Sequence[Answer]) -> Numbers:
        """Whether it is right, and 1: `[answers, 2]`."""
        return np.array([[each.output in each.references, 1] for each in answers], dtype=float)

    def value(self, totals: Numbers) -> Numbers:
        """Right ones over all."""
        return share(totals[..., 0], totals[..., 1])

    def details(self, answers: Sequence[Answer], totals: Numbers) -> dict[str, Any]:
        """Both counts."""
        return {"correct": int(totals[0]), "answers": len(answers)}
