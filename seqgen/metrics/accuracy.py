"""The metric `accuracy`: how many classes are right."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from seqgen.metrics.base import Answer, MetricOfSums, Numbers, metrics
from seqgen.metrics.classes import class_confusion, class_pairs
from seqgen.metrics.confusion import right
from seqgen.metrics.shares import share


@metrics.register("accuracy")
class Accuracy(MetricOfSums):
    """The share of outputs that are right, where outputs are classes; with the confusion matrix.

    `correct / answers`, from 0 to 1. Details: precision, recall, F1 and count of each class, and
    `confusion`, how often each output came for each class.

    Where a source has several classes, each is right. Data sets with one class a row are usually
    scored by rows, so no output is right for all of them: that is `each_reference`, which counts
    each class of a source as a row.
    """

    better = "higher"
    unit = "share"

    def __init__(self, each_reference: bool = False) -> None:
        self.each_reference = each_reference

    def statistics(self, answers: Sequence[Answer]) -> Numbers:
        """How many of its classes are right, and how many it has: `[answers, 2]`."""
        rows = [class_pairs(answer, self.each_reference) for answer in answers]
        return np.array([[right(pairs), len(pairs)] for pairs in rows], dtype=float)

    def value(self, totals: Numbers) -> Numbers:
        """Right ones over all."""
        return share(totals[..., 0], totals[..., 1])

    def details(self, answers: Sequence[Answer], totals: Numbers) -> dict[str, Any]:
        """The scores of each class, and the confusion matrix."""
        return class_confusion(answers, self.each_reference).details()
