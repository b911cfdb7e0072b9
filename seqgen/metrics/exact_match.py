"""The metric `exact_match`: how many outputs are right as a whole."""

from __future__ import annotations

from collections.abc import Sequence

from seqgen.metrics.base import Answer, Measured, Metric, metrics


@metrics.register("exact_match")
class ExactMatch(Metric):
    """The share of outputs that equal one of their references, character by character.

    `correct / answers`, from 0 to 1; details: both. Where outputs are classes, `accuracy` has the
    same value, and says more.
    """

    better = "higher"

    def measure_all(self, answers: Sequence[Answer]) -> Measured:
        """Of at least one answer, each with a reference."""
        correct = sum(answer.output in answer.references for answer in answers)
        return Measured(correct / len(answers), {"correct": correct, "answers": len(answers)})
