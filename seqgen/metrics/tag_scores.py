"""The metric `tag_scores`: how well each tag is found, for all tags alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from seqgen.metrics.base import Answer, MetricOfSums, Numbers, metrics
from seqgen.metrics.confusion import NONE
from seqgen.metrics.shares import by_label, mean_share
from seqgen.metrics.tags import tag_confusion, tag_pairs


@metrics.register("tag_scores")
class TagScores(MetricOfSums):
    """Macro F1, the mean over tags of the F1 of each; with precision, recall, F1 and count of all.

    `1 / tags * sum over t of 2 * correct(t) / (outputs(t) + count(t))`, from 0 to 1, over the tags
    that occur in references or outputs; the mean of F1s, not the F1 of means (Opitz and Burst
    2019). Tags are compared as in `tag_accuracy`. Where there are no tags at all, it is 1. Details:
    the scores of each tag, and `confusion`, how often each output came for each tag; '' stands for
    none.
    """

    better = "higher"
    unit = "share"

    def statistics(self, answers: Sequence[Answer]) -> Numbers:
        """For each tag, how often it is in a right pair and how often in any, once for each side:
        `[answers, 2 * tags]`. Their share is the F1; a tag that is in no answer that is drawn is
        left out of the mean."""
        return by_label(
            [
                (tag, int(reference == output), 1)
                for reference, output in tag_pairs(answer)
                for tag in (reference, output)
                if tag != NONE
            ]
            for answer in answers
        )

    def value(self, totals: Numbers) -> Numbers:
        """The mean over tags."""
        return mean_share(totals)

    def details(self, answers: Sequence[Answer], totals: Numbers) -> dict[str, Any]:
        """The scores of each tag, and the confusion matrix."""
        return tag_confusion(answers).details()
