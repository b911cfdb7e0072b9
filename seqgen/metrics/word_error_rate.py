"""The metric `word_error_rate`: how many words came out wrong, where each answer is one word."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from seqgen.metrics.base import Answer, MetricOfSums, Numbers, metrics
from seqgen.metrics.shares import share


@metrics.register("word_error_rate")
class WordErrorRate(MetricOfSums):
    """The share of words whose output equals none of their references; each answer is one word.

    `wrong / words`, from 0 to 1, as in grapheme-to-phoneme conversion (Bisani and Ney 2008), where
    an answer is the pronunciation of a word; details: both. In sentences this is the sentence error
    rate; what speech recognition calls the word error rate, edits over words, is
    `phoneme_error_rate`, which counts whatever stands between spaces.
    """

    better = "lower"
    unit = "share"

    def statistics(self, answers: Sequence[Answer]) -> Numbers:
        """Whether it is wrong, and 1: `[answers, 2]`."""
        return np.array([[each.output not in each.references, 1] for each in answers], dtype=float)

    def value(self, totals: Numbers) -> Numbers:
        """Wrong ones over all."""
        return share(totals[..., 0], totals[..., 1])

    def details(self, answers: Sequence[Answer], totals: Numbers) -> dict[str, Any]:
        """Both counts."""
        return {"wrong": int(totals[0]), "words": len(answers)}
