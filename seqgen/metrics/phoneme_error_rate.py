"""The metric `phoneme_error_rate`: edits over what stands between spaces."""

from __future__ import annotations

from collections.abc import Sequence

from seqgen.metrics.base import Answer, Measured, Metric, metrics
from seqgen.metrics.edit_distance import error_rate


@metrics.register("phoneme_error_rate")
class PhonemeErrorRate(Metric):
    """Edits to the nearest reference over its length, in phonemes (or words) between spaces.

    `sum of distance(output, nearest) / sum of length(nearest)`, see `error_rate`; a share, which
    exceeds 1 where outputs are much too long. As in grapheme-to-phoneme conversion (Bisani and Ney
    2008); of sentences this is what speech recognition calls the word error rate.
    """

    better = "lower"

    def measure_all(self, answers: Sequence[Answer]) -> Measured:
        """Of at least one answer, each with a reference."""
        return error_rate(answers, str.split)
