"""The decoder `stochastic_beam`: different sequences, drawn at random without replacement."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from seqgen.decoders.base import Decoder, Hypothesis, Limits, Start, Stepper, decoders
from seqgen.decoders.noise import child_keys, uniform, uniform_each
from seqgen.decoders.search import IMPOSSIBLE, Frontier, Growth, NBest, best
from seqgen.options import Size

# Gumbel noise on the scores of sequences, drawn from the top down (Kool et al. 2019).


FIRST = -1
"""The moment of the noise of the empty path: no token's own, those count from 0."""


class Perturbed(NamedTuple):
    """Paths as a sampler sees them, each `[rows]`; a State, moved about by `reorder`.

    `keys` name the paths for their noise, `log_probs` are those of a whole path, and `perturbed`
    the same plus a Gumbel variable: the largest of all sequences that begin so.
    """

    keys: Tensor
    log_probs: Tensor
    perturbed: Tensor

    @classmethod
    def empty(cls, seed: int, numbers: Tensor) -> Perturbed:
        """The empty path of each sequence number `[rows]`: probability 1."""
        noise = uniform(seed, numbers, FIRST)
        return cls(numbers, torch.zeros_like(noise), gumbel(noise))

    def children(self, seed: int, scores: Tensor) -> tuple[Tensor, Tensor]:
        """`log_probs` and `perturbed` of all that may follow, `[rows, vocab]`.

        `scores: [rows, vocab]` are what a stepper gave, normalised here; a row of -inf throughout
        has no children. The noise of the children is Gumbel, on the condition that the largest of
        them is their parent's.
        """
        best = scores.amax(-1, keepdim=True).double().clamp(min=-1e300)  # -inf less -inf is NaN
        normal = scores.double() - best
        normal = normal - normal.exp().sum(-1, keepdim=True).clamp(min=1e-300).log()
        log_probs = self.log_probs.unsqueeze(1) + normal
        free = log_probs + gumbel(uniform_each(seed, self.keys, scores.shape[1]))
        return log_probs, below(free, self.perturbed.unsqueeze(1))

    def grown(
        self, rows: Tensor, tokens: Tensor, log_probs: Tensor, perturbed: Tensor
    ) -> Perturbed:
        """The paths that go on from `rows` with `tokens`; the other two are theirs."""
        return Perturbed(child_keys(self.keys[rows], tokens), log_probs, perturbed)


def gumbel(noise: Tensor) -> Tensor:
    """A standard Gumbel variable for each uniform number in (0, 1)."""
    return -torch.log(-torch.log(noise))


def below(free: Tensor, largest: Tensor) -> Tensor:
    """Gumbel variables `[rows, vocab]`, moved so that the largest of a row is `largest: [rows, 1]`.

    `-log(exp(-largest) - exp(-max free) + exp(-free))`, computed as in Kool et al. 2019, appendix
    B.3: without a difference of large numbers. -inf stays -inf.
    """
    top = free.amax(-1, keepdim=True)
    gap = torch.where(free > float("-inf"), free - top, float("-inf"))
    moved = largest - free + _log_of_one_minus_exp(gap)
    moved = largest - moved.clamp(min=0) - torch.log1p(torch.exp(-moved.abs()))
    return torch.where(free > float("-inf"), moved, float("-inf"))


def _log_of_one_minus_exp(negative: Tensor) -> Tensor:
    """`log(1 - exp(x))` for x <= 0, precise near 0 and far from it."""
    near = torch.log(-torch.expm1(negative))
    far = torch.log1p(-torch.exp(negative))
    return torch.where(negative > -0.693, near, far)


@decoders.register("stochastic_beam")
class StochasticBeam(Decoder):
    """`beam_size` sequences of each source, as if drawn one by one, no sequence twice.

    Kool, van Hoof and Welling 2019. Each sequence has the rank `log p(sequence) + Gumbel noise`,
    and those with the highest ranks are a sample without replacement in the order of drawing. A
    beam finds them without looking at others, since the highest rank of all sequences that begin
    alike is known before they are. Where the stepper's scores do not sum to 1, p is normalised at
    each token. The noise of a sequence follows from the seed, the sequence's number and its
    tokens.
    """

    def __init__(self, seed: int = 0, beam_size: Size = 5) -> None:
        if beam_size < 1:
            raise ValueError(f"`beam_size` must be at least 1, but is {beam_size}")
        self.seed = seed
        self.beam_size = beam_size

    def decode(self, stepper: Stepper, start: Start, limits: Limits) -> list[list[Hypothesis]]:
        """At most `beam_size` hypotheses for each source; fewer where there are no more."""
        batch, device = len(start.tokens), start.tokens.device
        found = [NBest(self.beam_size) for _ in range(batch)]
        ends = torch.tensor(sorted(set(limits.ends)), device=device)
        numbers = torch.arange(batch, device=device) if start.numbers is None else start.numbers
        frontier = Frontier.begin(start, limits)
        noisy = Perturbed.empty(self.seed, numbers[frontier.sources])
        while len(frontier.sources):
            log_probs, frontier = frontier.step(stepper)
            growth, children = self._pick(frontier, noisy, log_probs)
            live = _harvest(frontier, growth, children.perturbed, ends, found)
            # As wide as the widest beam needs; rows that others do not need hold no path.
            width = int(live.sum(1).amax().clamp(min=1))
            columns = live.sort(stable=True, dim=1, descending=True).indices[:, :width]
            kept = growth._replace(scores=growth.scores.masked_fill(~live, IMPOSSIBLE)).at(columns)
            staying = live.any(1)
            frontier = frontier.advance(kept, staying)
            noisy = Perturbed(*(each.gather(1, columns)[staying].flatten() for each in children))
        nothing = Hypothesis((), 0.0, False)
        return [
            each.hypotheses or [frontier.dead_ends.get(source, nothing)._replace(rank=0.0)]
            for source, each in enumerate(found)
        ]

    def _pick(
        self, frontier: Frontier, noisy: Perturbed, log_probs: Tensor
    ) -> tuple[Growth, Perturbed]:
        """The children with the highest perturbed scores, all `[sources, count]`."""
        sources, vocab = len(frontier.sources), log_probs.shape[1]
        whole, perturbed = noisy.children(self.seed, log_probs)
        columns = best(perturbed.view(sources, -1), self.beam_size)
        first = torch.arange(sources, device=columns.device).unsqueeze(1) * frontier.width
        rows, tokens = first + columns // vocab, columns % vocab
        sums = frontier.paths.scores.unsqueeze(1) + log_probs.double()
        given, sums, whole, perturbed = (
            each.reshape(sources, -1).gather(1, columns)
            for each in (log_probs, sums, whole, perturbed)
        )
        return Growth(rows, tokens, given, sums), noisy.grown(rows, tokens, whole, perturbed)


def _harvest(
    frontier: Frontier, growth: Growth, ranks: Tensor, ends: Tensor, found: list[NBest]
) -> Tensor:
    """Enter what is over; returns which go on, `[sources, count]`."""
    possible = ranks > IMPOSSIBLE
    finished = torch.isin(growth.tokens, ends) & possible
    last = (frontier.room == frontier.paths.length + 1).unsqueeze(1)
    over = finished | (possible & last)
    places = over.nonzero(as_tuple=True)
    picked = Growth(*(each[places] for each in growth))
    hypotheses = frontier.paths.hypotheses(picked, finished[places], ranks[places])
    sources = frontier.sources.tolist()
    for place, hypothesis in zip(places[0].tolist(), hypotheses, strict=True):
        found[sources[place]].add(hypothesis)
    thresholds = torch.tensor([found[source].threshold for source in sources], dtype=ranks.dtype)
    # No descendant has a higher rank, and among the best there is one that has the same.
    return possible & ~over & (ranks > thresholds.to(ranks.device).unsqueeze(1))
