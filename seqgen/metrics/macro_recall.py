"""The metric `macro_recall`: how many of a class are right, for all classes alike."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from seqgen.metrics.base import Answer, Measured, Metric, metrics
from seqgen.metrics.classes import class_confusion


@metrics.register("macro_recall")
class MacroRecall(Metric):
    """The mean over classes of the share of each that is right, so rare classes count as much.

    `1 / classes * sum over c of correct(c) / count(c)`, from 0 to 1, over the classes that occur in
    references; also called balanced accuracy (Brodersen et al. 2010). Details, several classes of a
    source, and `each_reference`: as in `accuracy`.
    """

    better = "higher"

    def __init__(self, each_reference: bool = False) -> None:
        self.each_reference = each_reference

    def measure_all(self, answers: Sequence[Answer]) -> Measured:
        """Of at least one answer, each with a reference."""
        confusion = class_confusion(answers, self.each_reference)
        recalls = [scores.recall for scores in confusion.scores.values() if scores.count]
        return Measured(fmean(recalls), confusion.details())
