"""The metric `macro_recall`: how many of a class are right, for all classes alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from seqgen.metrics.base import Answer, MetricOfSums, Numbers, metrics
from seqgen.metrics.classes import class_confusion, class_pairs
from seqgen.metrics.shares import by_label, mean_share


@metrics.register("macro_recall")
class MacroRecall(MetricOfSums):
    """The mean over classes of the share of each that is right, so rare classes count as much.

    `1 / classes * sum over c of correct(c) / count(c)`, from 0 to 1, over the classes that occur in
    references; also called balanced accuracy (Brodersen et al. 2010). Details, several classes of a
    source, and `each_reference`: as in `accuracy`.
    """

    better = "higher"
    unit = "share"

    def __init__(self, each_reference: bool = False) -> None:
        self.each_reference = each_reference

    def statistics(self, answers: Sequence[Answer]) -> Numbers:
        """For each class in references, how many of an answer's are right, and how many it has:
        `[answers, 2 * classes]`. A class of which no answer is drawn is left out of the mean."""
        rows = [class_pairs(answer, self.each_reference) for answer in answers]
        return by_label([(right, int(right == came), 1) for right, came in row] for row in rows)

    def value(self, totals: Numbers) -> Numbers:
        """The mean over classes."""
        return mean_share(totals)

    def details(self, answers: Sequence[Answer], totals: Numbers) -> dict[str, Any]:
        """The scores of each class, and the confusion matrix."""
        return class_confusion(answers, self.each_reference).details()
