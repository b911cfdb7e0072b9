"""The metric `tag_accuracy`: how many tags are right."""

from __future__ import annotations

from collections.abc import Sequence

from seqgen.metrics.base import Answer, Measured, Metric, metrics
from seqgen.metrics.tags import tag_confusion


@metrics.register("tag_accuracy")
class TagAccuracy(Metric):
    """The share of tags that are right, over the tokens of all answers together.

    `correct / tags`, from 0 to 1; tags stand between spaces, and the i-th of an output belongs to
    the i-th of its reference. What is missing or too many at the end is an error. Where there are
    no tags at all, it is 1. Details: `correct` and `tags`.
    """

    better = "higher"

    def measure_all(self, answers: Sequence[Answer]) -> Measured:
        """Of at least one answer, each with a reference."""
        confusion = tag_confusion(answers)
        correct, tags = confusion.correct, confusion.total
        return Measured(correct / tags if tags else 1.0, {"correct": correct, "tags": tags})
