"""The decoders of several paths: `beam`, `diverse_beam`, and at random, `stochastic_beam`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from seqgen.decoders import search
from seqgen.decoders.base import Decoder, Hypothesis, Limits, Start, Stepper, decoders
from seqgen.decoders.guards import IMPOSSIBLE
from seqgen.decoders.noise import Perturbed, child_keys
from seqgen.decoders.search import (
    Alpha,
    Expansion,
    Formula,
    Frontier,
    LengthNormalisation,
    NBest,
    Reward,
)
from seqgen.options import NonNegativeFloat, Size
from seqgen.state import repeat

WORTH_A_LIST = 8
"""How many times as many tokens as can be picked there must be to make a list of the best of each
path first: it saves the sums of all others."""


class BeamSearch(Decoder, ABC):
    """A beam of `beam_size` paths for each source, or several `groups` with an equal share each.

    A step looks at so many continuations that enough of them go on even if each path could end in
    each way. Those that end within the first `width` are over and leave the beam; the first
    `width` that do not end go on. At the maximum length these end, too, unfinished.

    A source is done when none of its paths can reach a rank among its best any more. What is found
    does not depend on `n_best` but for its length.
    """

    draws = False
    claims = frozenset({"beam"})
    beam_size: int
    n_best: int
    length_normalisation: Formula
    alpha: float
    word_reward: float = 0.0
    groups: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.n_best > self.beam_size:
            raise ValueError(
                f"`n_best` must be from 1 to `beam_size`, which is {self.beam_size}, "
                f"but is {self.n_best}"
            )
        if self.beam_size % self.groups:
            raise ValueError(
                f"`groups` must divide `beam_size`, which is {self.beam_size}, but is {self.groups}"
            )
        how = self.length_normalisation, self.alpha, self.word_reward
        self.normalisation = LengthNormalisation(*how)
        self.width = self.beam_size // self.groups  # the number of paths in a group

    @abstractmethod
    def pick(self, totals: Tensor, tokens: Tensor, count: int) -> Tensor:
        """The `count` continuations to look at, as places in `totals: [beams, places]`, best first;
        `tokens: [beams, places]` has the token of each. Their scores do not have to fall: a pick
        may have reasons."""

    def allot(self, totals: Tensor, tokens: Tensor, count: int, lacking: Tensor) -> Tensor:
        """As `pick`, where constraints count what a continuation lacks: `lacking: [beams,
        places]`."""
        return self.pick(totals, tokens, count)

    def decode(self, stepper: Stepper, start: Start, limits: Limits) -> list[list[Hypothesis]]:
        """At most `n_best` hypotheses for each source; fewer where there are no more."""
        batch = start.tokens.shape[0]
        found = [NBest(min(self.n_best, self.width)) for _ in range(batch * self.groups)]
        ends = torch.tensor(sorted(set(limits.ends)), dtype=torch.long, device=start.tokens.device)
        frontier = Frontier.begin(start, limits, self.groups)
        while len(frontier.sources):
            log_probs, frontier = frontier.step(stepper)
            expansion = self._expand(frontier, log_probs, len(ends))
            beams = [
                found[source * self.groups + group]
                for source in frontier.sources.tolist()
                for group in range(self.groups)
            ]
            if self._all_go_on(frontier, expansion, ends, beams):
                first = Expansion(*(each[:, : self.width] for each in expansion))
                frontier = self._moved(frontier, first)
                continue
            live = self._harvest(frontier, expansion, ends, beams)
            frontier = self._advance(frontier, expansion, live, beams)
        nothing = Hypothesis((), 0.0, False)
        return [
            search.merge(found[i * self.groups : (i + 1) * self.groups], self.n_best)
            or [self.normalisation.ranked(frontier.dead_ends.get(i, nothing))]
            for i in range(batch)
        ]

    def _expand(self, frontier: Frontier, log_probs: Tensor, ends: int) -> Expansion:
        """The continuations to look at, `[beams, count]`."""
        rows, vocab = log_probs.shape
        beams = len(frontier.sources) * self.groups
        paths = rows // beams
        count = min(self.width * (1 + ends), paths * vocab)
        # Of a path no more can be picked than this, even if other groups have picked what is best.
        most = count + self.beam_size - self.width
        lacking = search.lacking(frontier.state)
        if vocab > WORTH_A_LIST * most and lacking is None:
            tokens = search.best(log_probs, most).sort(1).values
            log_probs, vocab = log_probs.gather(1, tokens), most
        else:
            tokens = torch.arange(vocab, device=log_probs.device).repeat(rows, 1)
        tokens, log_probs = tokens.view(beams, -1), log_probs.reshape(beams, -1)
        scores = frontier.paths.scores.repeat_interleave(vocab).view(beams, -1)
        totals = scores + log_probs  # in float64
        if lacking is None:
            columns = self.pick(totals, tokens, count)
        else:
            columns = self.allot(totals, tokens, count, lacking.view(beams, -1))
        first_rows = torch.arange(0, rows, paths, device=columns.device)
        return Expansion(
            rows=first_rows.unsqueeze(1) + columns // vocab,
            tokens=tokens.gather(1, columns),
            log_probs=log_probs.gather(1, columns),
            scores=totals.gather(1, columns),
        )

    def _all_go_on(
        self, frontier: Frontier, expansion: Expansion, ends: Tensor, beams: list[NBest]
    ) -> bool:
        """Whether the first `width` of each beam go on and nothing else is to be done, as in most
        steps."""
        if frontier.paths.length + 1 in frontier.room.tolist():
            return False
        if any(each.hypotheses for each in beams):  # a rank may be needed to enter them
            return False
        if len(ends) and bool(torch.isin(expansion.tokens, ends).any()):
            return False
        return not bool((expansion.scores == IMPOSSIBLE).any())

    def _harvest(
        self, frontier: Frontier, expansion: Expansion, ends: Tensor, beams: list[NBest]
    ) -> Tensor:
        """Enter the paths that end, by the end token or at the maximum length; returns which of
        the expansion go on, `[beams, count]`."""
        possible = expansion.scores > IMPOSSIBLE
        finished = torch.isin(expansion.tokens, ends) & possible
        live = possible ^ finished
        if len(ends):  # else no more are looked at than go on
            live &= live.cumsum(1) <= self.width
        length = frontier.paths.length + 1
        over = finished.clone()
        over[:, self.width :] = False
        last = None
        if length in frontier.room.tolist():
            last = repeat(frontier.room == length, self.groups).unsqueeze(1)
            over |= live & last
        if bool(over.any()):
            ranks = self.normalisation.rank(expansion.scores, length)
            over &= ranks > search.thresholds(beams, ends.device).unsqueeze(1)
            for beam, hypothesis in frontier.paths.hypotheses(expansion, over, finished):
                beams[beam].add(self.normalisation.ranked(hypothesis))
        return live if last is None else live & ~last

    def _advance(
        self, frontier: Frontier, expansion: Expansion, live: Tensor, beams: list[NBest]
    ) -> Frontier:
        """Go on with the live paths of those sources that are not done: a rank that enters their
        `beams` is within their reach."""
        scores = torch.where(live, expansion.scores, IMPOSSIBLE)
        reach = scores.amax(1)
        length, room = frontier.paths.length + 1, repeat(frontier.room, self.groups)
        if not self.normalisation.ranks_by_score:
            reach = self.normalisation.bound(reach, length, room)
        staying = reach > search.thresholds(beams, reach.device)
        staying = staying.view(-1, self.groups).any(1)
        columns = search.live_first(live, repeat(staying, self.groups))
        return self._moved(frontier, expansion._replace(scores=scores).at(columns), staying)

    def _moved(
        self, frontier: Frontier, expansion: Expansion, staying: Tensor | None = None
    ) -> Frontier:
        """Go on with `expansion: [beams, count]`."""
        rows = (each.reshape(len(frontier.sources), -1) for each in expansion)
        return frontier.advance(Expansion(*rows), staying)


@decoders.register("beam")
@dataclass
class Beam(BeamSearch):
    """Keep the `beam_size` best paths at each step; return the `n_best` sequences.

    Sequences are ranked by `score / length ** alpha` where `length_normalisation` is `power`, by
    `score / ((5 + length) / 6) ** alpha` where it is `gnmt` (Wu et al. 2016), and by the score
    where it is `none`, plus `word_reward * length` (Huang et al. 2017); `length` counts the end
    token. The search ends when no path can reach a
    higher rank any more, so with a length normalisation it may go on far beyond the first end
    token. Without one, a beam of 1 is greedy; one as wide as the space finds the true best.
    """

    beam_size: Size = 5
    n_best: Size = 1
    length_normalisation: Formula = "none"
    alpha: Alpha = 1.0
    word_reward: Reward = 0.0

    def pick(self, totals: Tensor, tokens: Tensor, count: int) -> Tensor:
        """The highest totals; ties go to the earliest path, then to the lowest id."""
        return search.best(totals, count)

    def allot(self, totals: Tensor, tokens: Tensor, count: int, lacking: Tensor) -> Tensor:
        """The highest of those that lack least, of those that lack one more, and so on; then the
        second of each: dynamic beam allocation (Post and Vilar 2018)."""
        return search.best_in_turn(totals, lacking, count)


@decoders.register("diverse_beam")
@dataclass
class DiverseBeam(BeamSearch):
    """Diverse beam search (Vijayakumar et al. 2018) with the Hamming penalty.

    The beam is divided among `groups`, which choose one after the other: at each step a group
    picks by `score - diversity_strength * n(token)`, where `n` counts how often the earlier groups
    picked that token at this step. The penalty decides what is picked and enters no score; ranks
    are those of `beam`, which this is with one group. Groups may find the same sequence, which
    then counts once.
    """

    beam_size: Size = 6
    groups: Size = 3
    diversity_strength: NonNegativeFloat = 0.5
    n_best: Size = 1
    length_normalisation: Formula = "none"
    alpha: Alpha = 1.0
    word_reward: Reward = 0.0

    def pick(self, totals: Tensor, tokens: Tensor, count: int) -> Tensor:
        """The picks of all groups, `[sources * groups, count]`."""
        groups, ids = (
            each.view(-1, self.groups, each.shape[1]).unbind(1) for each in (totals, tokens)
        )
        # How often each token was picked so far.
        times = totals.new_zeros(len(groups[0]), int(tokens.amax()) + 1)
        picks = []
        for group, own in zip(groups, ids, strict=True):
            penalties = self.diversity_strength * times.gather(1, own)
            columns = search.best(group - penalties, count)
            picks.append(columns)
            first = columns[:, : self.width]
            possible = group.gather(1, first) > IMPOSSIBLE
            times = times.scatter_add(1, own.gather(1, first), possible.to(times.dtype))
        return torch.stack(picks, 1).flatten(0, 1)


@decoders.register("stochastic_beam")
@dataclass
class StochasticBeam(Decoder):
    """`beam_size` different sequences for each source, sampled without replacement.

    Kool, van Hoof and Welling 2019. Each sequence has the rank `log p(sequence) + Gumbel noise`,
    and those with the highest ranks are a sample without replacement in the order of drawing. A
    beam finds them without looking at others, since the highest rank of all sequences that begin
    alike is known before they are. Where the stepper's scores do not sum to 1, p is normalised at
    each token. The noise of a sequence follows from the seed, the sequence's id and its tokens.
    """

    claims = frozenset({"sample"})

    seed: int = 0
    beam_size: Size = 5

    def decode(self, stepper: Stepper, start: Start, limits: Limits) -> list[list[Hypothesis]]:
        """At most `beam_size` hypotheses for each source; fewer where there are no more."""
        batch, device = len(start.tokens), start.tokens.device
        found = [NBest(self.beam_size) for _ in range(batch)]
        ends = torch.tensor(sorted(set(limits.ends)), device=device)
        frontier = Frontier.begin(start, limits)
        noisy = Perturbed.empty(self.seed, start.ids[frontier.sources])
        while len(frontier.sources):
            log_probs, frontier = frontier.step(stepper)
            expansion, children = self._pick(frontier, noisy, log_probs)
            beams = [found[source] for source in frontier.sources.tolist()]
            live = _harvest(frontier, expansion, children.perturbed, ends, beams)
            staying = live.any(1)
            columns = search.live_first(live, staying)
            scores = expansion.scores.masked_fill(~live, IMPOSSIBLE)
            frontier = frontier.advance(expansion._replace(scores=scores).at(columns), staying)
            noisy = Perturbed(*(each.gather(1, columns)[staying].flatten() for each in children))
        nothing = Hypothesis((), 0.0, False)
        return [
            each.hypotheses or [frontier.dead_ends.get(source, nothing)._replace(rank=0.0)]
            for source, each in enumerate(found)
        ]

    def _pick(
        self, frontier: Frontier, noisy: Perturbed, log_probs: Tensor
    ) -> tuple[Expansion, Perturbed]:
        """The children with the highest perturbed scores, all `[sources, count]`."""
        sources, vocab = len(frontier.sources), log_probs.shape[1]
        whole, perturbed = noisy.children(self.seed, log_probs)
        columns = search.best(perturbed.view(sources, -1), self.beam_size)
        first = torch.arange(sources, device=columns.device).unsqueeze(1) * frontier.width
        rows, tokens = first + columns // vocab, columns % vocab
        sums = frontier.paths.scores.unsqueeze(1) + log_probs.double()
        given, sums, whole, perturbed = (
            each.reshape(sources, -1).gather(1, columns)
            for each in (log_probs, sums, whole, perturbed)
        )
        keys = child_keys(noisy.keys[rows], tokens)
        return Expansion(rows, tokens, given, sums), Perturbed(keys, whole, perturbed)


def _harvest(
    frontier: Frontier, expansion: Expansion, ranks: Tensor, ends: Tensor, beams: list[NBest]
) -> Tensor:
    """Enter the paths that end; returns which go on, `[sources, count]`."""
    possible = ranks > IMPOSSIBLE
    finished = torch.isin(expansion.tokens, ends) & possible
    last = (frontier.room == frontier.paths.length + 1).unsqueeze(1)
    over = finished | (possible & last)
    hypotheses = frontier.paths.hypotheses(expansion, over, finished)
    for (beam, hypothesis), rank in zip(hypotheses, ranks[over].tolist(), strict=True):
        beams[beam].add(hypothesis._replace(rank=rank))
    # No descendant has a higher rank, and among the best there is one that has the same.
    return possible & ~over & (ranks > search.thresholds(beams, ranks.device).unsqueeze(1))
