"""The metric `tag_accuracy`: how many tags are right."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from seqgen.metrics.base import Answer, MetricOfSums, Numbers, metrics
from seqgen.metrics.confusion import right
from seqgen.metrics.shares import share
from seqgen.metrics.tags import tag_pairs


@metrics.register("tag_accuracy")
class TagAccuracy(MetricOfSums):
    """The share of tags that are right, over the tokens of all answers together.

    `correct / tags`, from 0 to 1; tags stand between spaces, and the i-th of an output belongs to
    the i-th of its reference. What is missing or too many at the end is an error. Where there are
    no tags at all, it is 1. Details: `correct` and `tags`.
    """

    better = "higher"
    unit = "share"

    def statistics(self, answers: Sequence[Answer]) -> Numbers:
        """How many of its tags are right, and how many it has: `[answers, 2]`."""
        rows = map(tag_pairs, answers)
        return np.array([[right(pairs), len(pairs)] for pairs in rows], dtype=float)

    def value(self, totals: Numbers) -> Numbers:
        """Right ones over all."""
        return share(totals[..., 0], totals[..., 1], empty=1.0)

    def details(self, answers: Sequence[Answer], totals: Numbers) -> dict[str, Any]:
        """Both counts."""
        return {"correct": int(totals[0]), "tags": int(totals[1])}
