"""Search by many samples: of what was drawn, the sequences that are most like the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from rapidfuzz.distance import Levenshtein

from seqgen.decoders import base
from seqgen.decoders.base import Decoder, Hypothesis, Limits, Start, Stepper
from seqgen.decoders.guards import check_steps, checked
from seqgen.decoders.noise import child_keys
from seqgen.decoders.sampling import Multinomial
from seqgen.options import Size
from seqgen.state import repeat

Similarity = Callable[[Sequence[int], Sequence[int]], float]
"""How alike two sequences of tokens are, from 0 to 1."""

NGRAM_SIZE = 4
"""The longest n-grams that `ngram_f` counts."""


def edit(one: Sequence[int], other: Sequence[int]) -> float:
    """`1 - distance / length of the longer`, by the number of tokens to insert, delete or replace
    (Levenshtein 1966); two empty sequences are alike."""
    return float(Levenshtein.normalized_similarity(one, other))


def ngram_f(one: Sequence[int], other: Sequence[int]) -> float:
    """The harmonic mean of n-gram precision and recall, each the mean over n = 1, ..., 4.

    chrF (Popovic 2015) on tokens, with precision and recall of equal weight, so it is the same
    both ways. An n that neither sequence is long enough for is left out; two empty sequences are
    alike.
    """
    precisions, recalls = [], []
    for size in range(1, NGRAM_SIZE + 1):
        mine, theirs = (
            Counter(tuple(tokens[i : i + size]) for i in range(len(tokens) - size + 1))
            for tokens in (one, other)
        )
        if mine or theirs:
            shared = (mine & theirs).total()
            precisions.append(shared / max(mine.total(), 1))
            recalls.append(shared / max(theirs.total(), 1))
    if not precisions:
        return 1.0
    precision, recall = (sum(each) / len(each) for each in (precisions, recalls))
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


SIMILARITIES: dict[str, Similarity] = {"edit": edit, "ngram_f": ngram_f}


@base.decoders.register("minimum_bayes_risk")
@dataclass
class MinimumBayesRisk(Decoder):
    """Of `samples` sequences, the `n_best` with the highest mean utility against all of them.

    `rank(c) = 1 / samples * sum_s utility(c, s)`, by sampling (Eikema and Aziz 2020): candidates
    and the sequences that they are compared with are the same samples, drawn by `sampler`. The
    utility is a similarity of the tokens without the end token, `edit` or `ngram_f`. Equal
    candidates are one, which counts as often as it was drawn. Sample i of a sequence draws from a
    stream of its own, so more samples change none of those before.
    """

    vocab_size: int
    seed: int = 0
    samples: Size = 32
    n_best: Size = 1
    utility: Literal["edit", "ngram_f"] = "edit"
    sampler: base.DecoderFactory = Multinomial

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.n_best > self.samples:
            raise ValueError(
                f"`n_best` must be from 1 to `samples`, which is {self.samples}, "
                f"but is {self.n_best}"
            )
        sampler = base.decoders.build(self.sampler, seed=self.seed, vocab_size=self.vocab_size)
        if sampler.constraints:
            raise ValueError("`sampler` must have no `constraints`; give them to the decoder")
        self._sampler = checked(sampler, self.vocab_size)
        self.draws = sampler.draws

    def decode(self, stepper: Stepper, start: Start, limits: Limits) -> list[list[Hypothesis]]:
        """At most `n_best` different hypotheses for each source, ranked by their mean utility."""
        copies, which = start.copies(self.samples)
        copies = copies._replace(sequence_ids=child_keys(copies.ids, which))
        sources = torch.arange(len(start.tokens), device=which.device)
        # An error names the source, not the copy.
        copied = check_steps(stepper, copies, repeat(sources, self.samples))
        drawn = self._sampler.decode(*copied, limits.copies(self.samples))
        firsts = [each[0] for each in drawn]
        return [
            self._ranked(firsts[i : i + self.samples]) for i in range(0, len(firsts), self.samples)
        ]

    def _ranked(self, drawn: Sequence[Hypothesis]) -> list[Hypothesis]:
        """The best of what was `drawn` for a source; where nothing is `satisfied`, the longest."""
        drawn = [each for each in drawn if each.satisfied] or drawn
        contents = [each.tokens[: len(each.tokens) - each.finished] for each in drawn]
        weights, similarity = Counter(contents), SIMILARITIES[self.utility]
        utilities = {
            content: sum(weight * similarity(content, each) for each, weight in weights.items())
            for content in weights
        }
        distinct = {
            each.tokens: each._replace(rank=utilities[content] / len(drawn))
            for each, content in zip(drawn, contents, strict=True)
        }
        if not drawn[0].satisfied:
            return [max(distinct.values(), key=lambda each: (len(each.tokens), each.score))]
        ranked = sorted(distinct.values(), key=lambda each: (each.rank, each.score), reverse=True)
        return ranked[: self.n_best]
