"""The decoder `minimum_bayes_risk`: of many samples, the one that is most like the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Literal

import torch
from rapidfuzz.distance import Levenshtein

from seqgen.decoders.base import (
    CheckedStepper,
    Decoder,
    DecoderFactory,
    Hypothesis,
    Limits,
    Start,
    Stepper,
    decoders,
    held,
)
from seqgen.decoders.noise import child_keys
from seqgen.decoders.sampling import Multinomial
from seqgen.options import Size
from seqgen.state import repeat

# How alike two sequences of tokens are, from 0 to 1.


Similarity = Callable[[Sequence[int], Sequence[int]], float]

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
        mine, theirs = _ngrams(one, size), _ngrams(other, size)
        if mine or theirs:
            shared = (mine & theirs).total()
            precisions.append(shared / max(mine.total(), 1))
            recalls.append(shared / max(theirs.total(), 1))
    if not precisions:
        return 1.0
    precision, recall = (sum(each) / len(each) for each in (precisions, recalls))
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _ngrams(tokens: Sequence[int], size: int) -> Counter[tuple[int, ...]]:
    """How often each n-gram of `size` tokens comes."""
    return Counter(tuple(tokens[i : i + size]) for i in range(len(tokens) - size + 1))


SIMILARITIES: dict[str, Similarity] = {"edit": edit, "ngram_f": ngram_f}


@decoders.register("minimum_bayes_risk")
class MinimumBayesRisk(Decoder):
    """The `n_best` of `samples` sequences with the highest mean utility towards all of them.

    `rank(c) = 1 / samples * sum_s utility(c, s)`, by sampling (Eikema and Aziz 2020): candidates
    and the sequences that they are compared with are the same samples, drawn by `sampler`. The
    utility is a similarity of the tokens without the end token, `edit` or `ngram_f`. Equal
    candidates are one, which counts as often as it was drawn. Sample i of a sequence draws from a
    stream of its own, so more samples change none of those before.
    """

    def __init__(
        self,
        vocab_size: int,
        seed: int = 0,
        samples: Size = 32,
        n_best: Size = 1,
        utility: Literal["edit", "ngram_f"] = "edit",
        sampler: DecoderFactory = Multinomial,
    ) -> None:
        if samples < 1:
            raise ValueError(f"`samples` must be at least 1, but is {samples}")
        if not 1 <= n_best <= samples:
            raise ValueError(
                f"`n_best` must be from 1 to `samples`, which is {samples}, but is {n_best}"
            )
        if utility not in SIMILARITIES:
            known = " or ".join(SIMILARITIES)
            raise ValueError(f"`utility` must be {known}, but is {utility!r}")
        self.samples = samples
        self.n_best = n_best
        self.utility = SIMILARITIES[utility]
        self.sampler = held(decoders.build(sampler, seed=seed, vocab_size=vocab_size), vocab_size)
        self.draws = self.sampler.draws
        if self.sampler.constraints:
            raise ValueError("`sampler` must have no `constraints`; give them to the decoder")

    def decode(self, stepper: Stepper, start: Start, limits: Limits) -> list[list[Hypothesis]]:
        """At most `n_best` different hypotheses for each source, ranked by their mean utility."""
        lengths = repeat(limits.lengths(start), self.samples).tolist()
        copies = _copies(start, self.samples)
        drawn = self.sampler.decode(CheckedStepper(stepper), copies, Limits(lengths, limits.ends))
        firsts = [each[0] for each in drawn]
        return [
            self._ranked(firsts[i : i + self.samples]) for i in range(0, len(firsts), self.samples)
        ]

    def _ranked(self, drawn: Sequence[Hypothesis]) -> list[Hypothesis]:
        """The best of what was `drawn` for a source; what is not `satisfied` only where all is."""
        drawn = [each for each in drawn if each.satisfied] or drawn
        contents = [each.tokens[: len(each.tokens) - each.finished] for each in drawn]
        weights = Counter(contents)
        utilities = {
            content: sum(weight * self.utility(content, each) for each, weight in weights.items())
            for content in weights
        }
        distinct = {
            each.tokens: each._replace(rank=utilities[content] / len(drawn))
            for each, content in zip(drawn, contents, strict=True)
        }
        ranked = sorted(distinct.values(), key=lambda each: (each.rank, each.score), reverse=True)
        return ranked[: self.n_best]


def _copies(start: Start, samples: int) -> Start:
    """`samples` sources for each one, every copy with a number of its own; the state knows whose
    copy a row is, since an error names the source."""
    batch, device = len(start.tokens), start.tokens.device
    sources = torch.arange(batch, device=device)
    numbers = sources if start.numbers is None else start.numbers
    tokens, state, context, owners, numbers = repeat(
        (start.tokens, start.state, start.context, sources, numbers), samples
    )
    streams = child_keys(numbers, torch.arange(samples, device=device).repeat(batch))
    return CheckedStepper.begin(Start(tokens, state, context, streams), owners)
