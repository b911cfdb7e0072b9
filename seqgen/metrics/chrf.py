"""The metric `chrf`, by sacrebleu."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from seqgen.metrics.base import Answer, MetricOfSums, Numbers, metrics
from seqgen.metrics.sacrebleu_counts import counts, signature
from seqgen.metrics.shares import share

if TYPE_CHECKING:
    from sacrebleu.metrics.chrf import CHRF

WordOrder = Literal[0, 1, 2]


@metrics.register("chrf")
class Chrf(MetricOfSums):
    """chrF of all answers together, from 0 to 100, by sacrebleu: shared n-grams of characters.

    `100 * 5 * precision * recall / (4 * precision + recall)`, of n-grams of 1 to 6 characters
    without spaces, precision and recall each the mean over n; of several references the one with
    the highest score counts (Popovic 2015, with beta = 2). With `word_order` 2 the n-grams of one
    and two words count, too, which is chrF++ (Popovic 2017). It is 0 where all outputs are empty.
    Details: the variant's `name` and sacrebleu's signature, for publishing.
    """

    better = "higher"
    unit = "points"

    def __init__(self, word_order: WordOrder = 0, lowercase: bool = False) -> None:
        if word_order not in get_args(WordOrder):
            raise ValueError(f"`word_order` must be 0, 1 or 2, but is {word_order}")
        self.word_order = word_order
        self.lowercase = lowercase

    def statistics(self, answers: Sequence[Answer]) -> Numbers:
        """`[answers, 3 * orders]`: n-grams of the output, of its best reference, and of both, for
        each n of characters, then of words."""
        return counts(self._scorer(), answers)

    def value(self, totals: Numbers) -> Numbers:
        """The formula above; an n of which one side has no n-grams is left out of the means."""
        output, reference, both = (totals[..., place::3] for place in range(3))
        defined = (output > 0) & (reference > 0)
        orders = np.asarray(np.sum(defined, axis=-1), dtype=np.float64)
        precision, recall = (
            # One after the other, as sacrebleu adds them: the same number to the last bit.
            share(np.cumsum(share(both, side), axis=-1)[..., -1], orders)
            for side in (output, reference)
        )
        return 100 * share(5 * precision * recall, 4 * precision + recall)

    def details(self, answers: Sequence[Answer], totals: Numbers) -> dict[str, Any]:
        """The variant's name, and sacrebleu's signature."""
        name = "chrF2" + "+" * self.word_order
        return {"name": name, "signature": signature(self._scorer(), answers)}

    def _scorer(self) -> CHRF:
        from sacrebleu.metrics.chrf import CHRF

        return CHRF(word_order=self.word_order, lowercase=self.lowercase)
