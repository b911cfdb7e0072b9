"""The metric `tag_scores`: how well each tag is found, for all tags alike."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from seqgen.metrics.base import Answer, Measured, Metric, metrics
from seqgen.metrics.tags import tag_confusion


@metrics.register("tag_scores")
class TagScores(Metric):
    """Macro F1, the mean over tags of the F1 of each; with precision, recall, F1 and count of all.

    `1 / tags * sum over t of 2 * correct(t) / (outputs(t) + count(t))`, from 0 to 1, over the tags
    that occur in references or outputs; the mean of F1s, not the F1 of means (Opitz and Burst
    2019). Tags are compared as in `tag_accuracy`. Where there are no tags at all, it is 1. Details:
    the scores of each tag, and `confusion`, how often each output came for each tag; '' stands for
    none.
    """

    better = "higher"

    def measure_all(self, answers: Sequence[Answer]) -> Measured:
        """Of at least one answer, each with a reference."""
        confusion = tag_confusion(answers)
        f1s = [scores.f1 for scores in confusion.scores.values()]
        return Measured(fmean(f1s) if f1s else 1.0, confusion.details())
