"""The metric `accuracy`: how many classes are right."""

from __future__ import annotations

from collections.abc import Sequence

from seqgen.metrics.base import Answer, Measured, Metric, metrics
from seqgen.metrics.classes import class_confusion


@metrics.register("accuracy")
class Accuracy(Metric):
    """The share of outputs that are right, where outputs are classes; with the confusion matrix.

    `correct / answers`, from 0 to 1. Details: precision, recall, F1 and count of each class, and
    `confusion`, how often each output came for each class.

    Where a source has several classes, each is right. Data sets with one class a row are usually
    scored by rows, so no output is right for all of them: that is `each_reference`, which counts
    each class of a source as a row.
    """

    better = "higher"

    def __init__(self, each_reference: bool = False) -> None:
        self.each_reference = each_reference

    def measure_all(self, answers: Sequence[Answer]) -> Measured:
        """Of at least one answer, each with a reference."""
        confusion = class_confusion(answers, self.each_reference)
        return Measured(confusion.correct / confusion.total, confusion.details())
