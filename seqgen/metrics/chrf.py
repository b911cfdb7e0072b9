"""The metric `chrf`, by sacrebleu."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

from seqgen.metrics.base import Answer, Measured, Metric, metrics
from seqgen.metrics.streams import streams

WordOrder = Literal[0, 1, 2]


@metrics.register("chrf")
class Chrf(Metric):
    """chrF of all answers together, from 0 to 100, by sacrebleu: shared n-grams of characters.

    `100 * 5 * precision * recall / (4 * precision + recall)`, of n-grams of 1 to 6 characters
    without spaces, precision and recall each the mean over n; of several references the one with
    the highest score counts (Popovic 2015, with beta = 2). With `word_order` 2 the n-grams of one
    and two words count, too, which is chrF++ (Popovic 2017). It is 0 where all outputs are empty.
    Details: the variant's `name` and sacrebleu's signature, for publishing.
    """

    better = "higher"

    def __init__(self, word_order: WordOrder = 0, lowercase: bool = False) -> None:
        if word_order not in get_args(WordOrder):
            raise ValueError(f"`word_order` must be 0, 1 or 2, but is {word_order}")
        self.word_order = word_order
        self.lowercase = lowercase

    def measure_all(self, answers: Sequence[Answer]) -> Measured:
        """Of at least one answer, each with a reference."""
        from sacrebleu.metrics.chrf import CHRF

        scorer = CHRF(word_order=self.word_order, lowercase=self.lowercase)
        found = scorer.corpus_score(*streams(answers))
        details = {"name": found.name, "signature": str(scorer.get_signature())}
        return Measured(found.score, details)
