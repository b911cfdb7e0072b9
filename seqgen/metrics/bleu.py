"""The metric `bleu`, by sacrebleu."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from seqgen.metrics.base import Answer, MetricOfSums, Numbers, metrics
from seqgen.metrics.sacrebleu_counts import counts, signature
from seqgen.metrics.shares import share

if TYPE_CHECKING:
    from sacrebleu.metrics.bleu import BLEU

Tokenize = Literal["13a", "intl", "zh", "char", "none"]


@metrics.register("bleu")
class Bleu(MetricOfSums):
    """BLEU of all answers together, from 0 to 100, by sacrebleu: shared n-grams of 1 to 4 words.

    `100 * brevity_penalty * (p1 * p2 * p3 * p4) ** (1/4)`, where p_n is the share of n-grams of the
    outputs that their references have too, and the penalty is `exp(1 - reference_length /
    output_length)` where the outputs are shorter (Papineni et al. 2002). An n without any match
    counts as half a match, the next one as a quarter, and so on. It is 0 where nothing matches, and
    where no output has four words. Details: the parts of the formula (precisions in percent), and
    sacrebleu's signature, which belongs beside any BLEU that is published (Post 2018).

    `tokenize` is sacrebleu's: `13a` splits punctuation as WMT does, `none` splits at spaces only.
    Those of its tokenizers that download a model or need another package are left out.
    """

    better = "higher"
    unit = "points"

    def __init__(self, tokenize: Tokenize = "13a", lowercase: bool = False) -> None:
        if tokenize not in get_args(Tokenize):
            known = ", ".join(get_args(Tokenize))
            raise ValueError(f"`tokenize` must be one of {known}, but is {tokenize!r}")
        self.tokenize = tokenize
        self.lowercase = lowercase

    def statistics(self, answers: Sequence[Answer]) -> Numbers:
        """`[answers, 10]`: the lengths of output and nearest reference, shared n-grams for n from 1
        to 4, and n-grams of the output likewise."""
        return counts(self._scorer(), answers)

    def value(self, totals: Numbers) -> Numbers:
        """The formula above, 0 where there is no n-gram of some n."""
        output_length, reference_length = totals[..., 0], totals[..., 1]
        shared, ngrams = totals[..., 2:6], totals[..., 6:10]
        halved = np.cumsum((shared == 0) & (ngrams > 0), axis=-1)
        precisions = share(np.where(shared > 0, shared, 0.5**halved), ngrams)
        mean = np.log(np.where(ngrams > 0, precisions, 1.0)).mean(axis=-1)
        penalty = np.minimum(1 - share(reference_length, output_length), 0.0)
        defined = (shared > 0).any(axis=-1) & (ngrams > 0).all(axis=-1)
        return np.where(defined, 100 * np.exp(penalty) * np.exp(mean), 0.0)

    def details(self, answers: Sequence[Answer], totals: Numbers) -> dict[str, Any]:
        """The parts of the formula by sacrebleu, and its signature."""
        scorer = self._scorer()
        output_length, reference_length, *ngrams = map(int, totals)
        found = scorer.compute_bleu(
            ngrams[:4], ngrams[4:], output_length, reference_length, scorer.smooth_method
        )
        return {
            "signature": signature(scorer, answers),
            "precisions": list(found.precisions),
            "brevity_penalty": found.bp,
            "output_length": output_length,
            "reference_length": reference_length,
        }

    def _scorer(self) -> BLEU:
        from sacrebleu.metrics.bleu import BLEU

        # `force` changes no score: without it a remark on texts that end in " ." is printed.
        return BLEU(tokenize=self.tokenize, lowercase=self.lowercase, force=True)
