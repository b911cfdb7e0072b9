"""The decoder `minimum_bayes_risk`: of many samples, the one that is most like the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Literal

import torch

from seqgen.decoders.base import Decoder, DecoderFactory, Hypothesis, decoders
from seqgen.decoders.held import held
from seqgen.decoders.multinomial import Multinomial
from seqgen.decoders.noise import child_keys
from seqgen.decoders.scores import CheckedStepper
from seqgen.decoders.similarity import Similarity, edit, ngram_f
from seqgen.decoders.stepper import Limits, Start, Stepper
from seqgen.options import Size
from seqgen.state import repeat

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
