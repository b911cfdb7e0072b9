"""The metric `word_error_rate`: how many words came out wrong, where each answer is one word."""

from __future__ import annotations

from collections.abc import Sequence

from seqgen.metrics.base import Answer, Measured, Metric, metrics


@metrics.register("word_error_rate")
class WordErrorRate(Metric):
    """The share of words whose output equals none of their references; each answer is one word.

    `wrong / words`, from 0 to 1, as in grapheme-to-phoneme conversion (Bisani and Ney 2008), where
    an answer is the pronunciation of a word; details: both. In sentences this is the sentence error
    rate; what speech recognition calls the word error rate, edits over words, is
    `phoneme_error_rate`, which counts whatever stands between spaces.
    """

    better = "lower"

    def measure_all(self, answers: Sequence[Answer]) -> Measured:
        """Of at least one answer, each with a reference."""
        wrong = sum(answer.output not in answer.references for answer in answers)
        return Measured(wrong / len(answers), {"wrong": wrong, "words": len(answers)})
