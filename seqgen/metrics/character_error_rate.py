"""The metric `character_error_rate`: edits over characters."""

from __future__ import annotations

from collections.abc import Sequence

from seqgen.metrics.base import Answer, Measured, Metric, metrics
from seqgen.metrics.edit_distance import error_rate


@metrics.register("character_error_rate")
class CharacterErrorRate(Metric):
    """Edits to the nearest reference over its length, in characters.

    `sum of distance(output, nearest) / sum of length(nearest)`, see `error_rate`; a share, which
    exceeds 1 where outputs are much too long. Characters are Unicode code points, spaces among
    them, so a letter with a combining accent is two.
    """

    better = "lower"

    def measure_all(self, answers: Sequence[Answer]) -> Measured:
        """Of at least one answer, each with a reference."""
        return error_rate(answers, str)
