"""The decoder `beam`: the most probable sequences, as far as a few paths at a time can tell."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from seqgen.decoders.base import Decoder, Hypothesis, Limits, Start, Stepper, decoders
from seqgen.decoders.search import (
    IMPOSSIBLE,
    Alpha,
    Formula,
    Frontier,
    Growth,
    LengthNormalisation,
    NBest,
    best,
    merge,
)
from seqgen.options import NonNegativeFloat, Size
from seqgen.state import repeat

# BeamSearch, the search that the decoders `beam` and `diverse_beam` are two settings of.


Pick = Callable[[Tensor, int, int], Tensor]
"""`pick(totals, vocab, count)`: the `count` continuations to look at, as places in `totals:
[beams, paths * vocab]`, best first. Their scores do not have to fall: a pick may have reasons."""


class Candidates(NamedTuple):
    """The continuations picked at a step, all `[beams, count]`: which of them go on as a path, and
    which are over, because the end token came (`finished`) or because there is no room."""

    growth: Growth
    live: Tensor
    over: Tensor
    finished: Tensor


@dataclass(frozen=True)
class BeamSearch:
    """A beam of `beam_size` paths for each source, or several `groups` with an equal share each.

    A step looks at so many continuations that enough of them go on even if each path could end in
    each way. Those that end within the first `width` are over and leave the beam; the first
    `width` that do not end go on. At the maximum length these are over as well, unfinished.

    A source is done when none of its paths can come to a rank among its best any more. What is
    found does not depend on `n_best` but for its length.
    """

    beam_size: int
    n_best: int
    normalisation: LengthNormalisation
    pick: Pick
    groups: int = 1

    def __post_init__(self) -> None:
        if self.beam_size < 1:
            raise ValueError(f"`beam_size` must be at least 1, but is {self.beam_size}")
        if not 1 <= self.n_best <= self.beam_size:
            raise ValueError(
                f"`n_best` must be from 1 to `beam_size`, which is {self.beam_size}, "
                f"but is {self.n_best}"
            )
        if self.groups < 1 or self.beam_size % self.groups:
            raise ValueError(
                f"`groups` must divide `beam_size`, which is {self.beam_size}, but is {self.groups}"
            )

    @property
    def width(self) -> int:
        """The number of paths in a beam: of a group, where there are several."""
        return self.beam_size // self.groups

    def run(self, stepper: Stepper, start: Start, limits: Limits) -> list[list[Hypothesis]]:
        """For each source its hypotheses, the best first."""
        batch = start.tokens.shape[0]
        found = [NBest(min(self.n_best, self.width)) for _ in range(batch * self.groups)]
        every_end = sorted(set(limits.ends))
        ends = torch.tensor(every_end, dtype=torch.long, device=start.tokens.device)
        frontier = Frontier.begin(start, limits, self.groups)
        while len(frontier.sources):
            log_probs, frontier = frontier.step(stepper)
            candidates = self._candidates(frontier, log_probs, ends)
            beams = [
                found[source * self.groups + group]
                for source in frontier.sources.tolist()
                for group in range(self.groups)
            ]
            thresholds = self._harvest(frontier, candidates, beams)
            frontier = self._advance(frontier, candidates, thresholds)
        return [
            merge(found[i * self.groups : (i + 1) * self.groups], self.n_best)
            or [self._nothing(frontier.dead_ends.get(i))]
            for i in range(batch)
        ]

    def _candidates(self, frontier: Frontier, log_probs: Tensor, ends: Tensor) -> Candidates:
        vocab = log_probs.shape[1]
        beams = len(frontier.sources) * self.groups
        scores = frontier.paths.scores.unsqueeze(1) + log_probs  # in float64
        totals = scores.view(beams, -1)
        count = min(self.width * (1 + len(ends)), totals.shape[1])
        columns = self.pick(totals, vocab, count)

        first_rows = torch.arange(beams, device=columns.device) * (len(scores) // beams)
        growth = Growth(
            rows=first_rows.unsqueeze(1) + columns // vocab,
            tokens=columns % vocab,
            log_probs=log_probs.reshape(beams, -1).gather(1, columns),
            scores=totals.gather(1, columns),
        )
        possible = growth.scores > IMPOSSIBLE
        finished = torch.isin(growth.tokens, ends) & possible
        live = ~finished & possible
        live &= live.cumsum(1) <= self.width
        last = repeat(frontier.room == frontier.paths.length + 1, self.groups).unsqueeze(1)
        over = live & last
        over[:, : self.width] |= finished[:, : self.width]
        return Candidates(growth, live & ~last, over, finished)

    def _harvest(self, frontier: Frontier, candidates: Candidates, beams: list[NBest]) -> Tensor:
        """Enter what is over; returns what a rank must exceed to enter from now on, `[beams]`."""
        growth, _, over, finished = candidates
        device = over.device
        thresholds = torch.tensor([each.threshold for each in beams], dtype=torch.float64)
        ranks = growth.scores / self.normalisation.divisor(frontier.paths.length + 1)
        places = (over & (ranks > thresholds.to(device).unsqueeze(1))).nonzero(as_tuple=True)
        if len(places[0]):
            picked = Growth(*(each[places] for each in growth))
            shown = None if self.normalisation.formula == "none" else ranks[places]
            hypotheses = frontier.paths.hypotheses(picked, finished[places], shown)
            for beam, hypothesis in zip(places[0].tolist(), hypotheses, strict=True):
                beams[beam].add(hypothesis)
                thresholds[beam] = beams[beam].threshold
        return thresholds.to(device)

    def _advance(self, frontier: Frontier, candidates: Candidates, thresholds: Tensor) -> Frontier:
        """Go on with the live paths of those sources that are not done."""
        growth, live = candidates.growth, candidates.live
        scores = growth.scores.masked_fill(~live, IMPOSSIBLE)
        room = repeat(frontier.room, self.groups)
        hope = self.normalisation.bound(scores.amax(1), frontier.paths.length + 1, room)
        staying = (hope > thresholds).view(-1, self.groups).any(1)

        # As wide as the widest beam needs; rows that others do not need hold no path.
        width = int((live.sum(1) * repeat(staying, self.groups)).amax().clamp(min=1))
        columns = live.sort(stable=True, dim=1, descending=True).indices[:, :width]
        kept = growth._replace(scores=scores).at(columns)
        shape = (len(staying), self.groups * width)
        return frontier.advance(Growth(*(each.reshape(shape) for each in kept)), staying)

    def _nothing(self, dead_end: Hypothesis | None) -> Hypothesis:
        return self.normalisation.ranked(dead_end or Hypothesis((), 0.0, False))


@decoders.register("beam")
class Beam(Decoder):
    """Keep the `beam_size` best paths at each step; return the `n_best` sequences.

    Sequences are ranked by `score / length ** alpha` where `length_normalisation` is `power`, by
    `score / ((5 + length) / 6) ** alpha` where it is `gnmt` (Wu et al. 2016), and by the score
    where it is `none`; `length` counts the end token. The search ends when no path can come to a
    higher rank any more, so with a length normalisation it may go on far beyond the first end
    token. Without one, a beam of 1 is greedy; one as wide as the space finds the true best.
    """

    draws = False

    def __init__(
        self,
        beam_size: Size = 5,
        n_best: Size = 1,
        length_normalisation: Formula = "none",
        alpha: Alpha = 1.0,
    ) -> None:
        normalisation = LengthNormalisation(length_normalisation, alpha)
        self.search = BeamSearch(beam_size, n_best, normalisation, _pick)

    def decode(self, stepper: Stepper, start: Start, limits: Limits) -> list[list[Hypothesis]]:
        """At most `n_best` hypotheses for each source; fewer where there are no more."""
        return self.search.run(stepper, start, limits)


def _pick(totals: Tensor, vocab: int, count: int) -> Tensor:
    """The highest, `[beams, count]`; of equals the earliest path, then the lowest id."""
    return best(totals, count)


# The decoder `diverse_beam`: several beams that keep out of one another's way.


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
