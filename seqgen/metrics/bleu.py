"""The metric `bleu`, by sacrebleu."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

from seqgen.metrics.base import Answer, Measured, Metric, metrics
from seqgen.metrics.streams import streams

Tokenize = Literal["13a", "intl", "zh", "char", "none"]


@metrics.register("bleu")
class Bleu(Metric):
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

    def __init__(self, tokenize: Tokenize = "13a", lowercase: bool = False) -> None:
        if tokenize not in get_args(Tokenize):
            known = ", ".join(get_args(Tokenize))
            raise ValueError(f"`tokenize` must be one of {known}, but is {tokenize!r}")
        self.tokenize = tokenize
        self.lowercase = lowercase

    def measure_all(self, answers: Sequence[Answer]) -> Measured:
        """Of at least one answer, each with a reference."""
        from sacrebleu.metrics.bleu import BLEU

        # `force` changes no score: without it a remark on texts that end in " ." is printed.
        scorer = BLEU(tokenize=self.tokenize, lowercase=self.lowercase, force=True)
        found = scorer.corpus_score(*streams(answers))
        details = {
            "signature": str(scorer.get_signature()),
            "precisions": list(found.precisions),
            "brevity_penalty": found.bp,
            "output_length": found.sys_len,
            "reference_length": found.ref_len,
        }
        return Measured(min(found.score, 100.0), details)  # rounding adds up to 100.00000000000004
