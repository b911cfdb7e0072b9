"""The decoder `diverse_beam`: several beams that keep out of one another's way."""

from __future__ import annotations

import torch
from torch import Tensor

from seqgen.decoders.base import Decoder, Hypothesis, decoders
from seqgen.decoders.beam_search import BeamSearch
from seqgen.decoders.length_normalisation import Alpha, Formula, LengthNormalisation
from seqgen.decoders.paths import IMPOSSIBLE, best
from seqgen.decoders.stepper import Limits, Start, Stepper
from seqgen.options import NonNegativeFloat, Size


@decoders.register("diverse_beam")
class DiverseBeam(Decoder):
    """Diverse beam search (Vijayakumar et al. 2018) with the Hamming penalty.

    The beam is shared out among `groups`, which choose one after the other: at each step a group
    picks by `score - diversity_strength * n(token)`, where `n` counts how often the earlier groups
    picked that token at this step. The penalty decides what is picked and enters no score; ranks
    are those of `beam`, which this is with one group. Groups may find the same sequence, which
    then counts once.
    """

    draws = False

    def __init__(
        self,
        beam_size: Size = 6,
        groups: Size = 3,
        diversity_strength: NonNegativeFloat = 0.5,
        n_best: Size = 1,
        length_normalisation: Formula = "none",
        alpha: Alpha = 1.0,
    ) -> None:
        if not 0 <= diversity_strength < float("inf"):
            raise ValueError(
                f"`diversity_strength` must be at least 0 and finite, but is {diversity_strength}"
            )
        self.diversity_strength = diversity_strength
        normalisation = LengthNormalisation(length_normalisation, alpha)
        self.search = BeamSearch(beam_size, n_best, normalisation, self._pick, groups)

    def decode(self, stepper: Stepper, start: Start, limits: Limits) -> list[list[Hypothesis]]:
        """At most `n_best` hypotheses for each source, of all groups; fewer if there are fewer."""
        return self.search.run(stepper, start, limits)

    def _pick(self, totals: Tensor, vocab: int, count: int) -> Tensor:
        """The picks of all groups, `[sources * groups, count]`."""
        groups = totals.view(-1, self.search.groups, totals.shape[1]).unbind(1)
        times = totals.new_zeros(len(groups[0]), vocab)  # how often each token was picked so far
        picks = []
        for group in groups:
            penalties = (self.diversity_strength * times).repeat(1, group.shape[1] // vocab)
            columns = best(group - penalties, count)
            picks.append(columns)
            first = columns[:, : self.search.width]
            possible = group.gather(1, first) > IMPOSSIBLE
            times = times.scatter_add(1, first % vocab, possible.to(times.dtype))
        return torch.stack(picks, 1).flatten(0, 1)
