"""BeamSearch, the search that the decoders `beam` and `diverse_beam` are two settings of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from seqgen.decoders.base import Hypothesis
from seqgen.decoders.frontier import Frontier
from seqgen.decoders.length_normalisation import LengthNormalisation
from seqgen.decoders.n_best import NBest, merge
from seqgen.decoders.paths import IMPOSSIBLE, Growth
from seqgen.decoders.stepper import Limits, Start, Stepper
from seqgen.state import repeat

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
