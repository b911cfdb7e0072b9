"""The decoder `stochastic_beam`: different sequences, drawn at random without replacement."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from seqgen.decoders.base import Decoder, Hypothesis, Limits, Start, Stepper, decoders
from seqgen.decoders.guards import IMPOSSIBLE
from seqgen.decoders.noise import child_keys, uniform, uniform_each
from seqgen.decoders.search import Expansion, Frontier, NBest, best, live_first, thresholds
from seqgen.options import Size

FIRST = -1
"""The step of the noise of the empty path: no token's own, those count from 0."""


class Perturbed(NamedTuple):
    """Paths with Gumbel noise on their scores, each `[rows]`; a State, moved by `reorder`.

    `keys` name the paths for their noise, `log_probs` are those of a whole path, and `perturbed`
    the same plus a Gumbel variable: the largest of all sequences that begin so. The noise is drawn
    from the top down (Kool et al. 2019).
    """

    keys: Tensor
    log_probs: Tensor
    perturbed: Tensor

    @classmethod
    def empty(cls, seed: int, sequence_ids: Tensor) -> Perturbed:
        """The empty path of each sequence `[rows]`: probability 1."""
        noise = uniform(seed, sequence_ids, FIRST)
        return cls(sequence_ids, torch.zeros_like(noise), gumbel(noise))

    def children(self, seed: int, scores: Tensor) -> tuple[Tensor, Tensor]:
        """`log_probs` and `perturbed` of all that may follow, `[rows, vocab]`.

        `scores: [rows, vocab]` are what a stepper gave, normalised here; a row of -inf throughout
        has no children. The noise of the children is Gumbel, on the condition that the largest of
        them is their parent's.
        """
        top = scores.amax(-1, keepdim=True).double().clamp(min=-1e300)  # -inf less -inf is NaN
        normal = scores.double() - top
        normal = normal - normal.exp().sum(-1, keepdim=True).clamp(min=1e-300).log()
        log_probs = self.log_probs.unsqueeze(1) + normal
        free = log_probs + gumbel(uniform_each(seed, self.keys, scores.shape[1]))
        return log_probs, below(free, self.perturbed.unsqueeze(1))


def gumbel(noise: Tensor) -> Tensor:
    """A standard Gumbel variable for each uniform number in (0, 1)."""
    return -torch.log(-torch.log(noise))


def below(free: Tensor, largest: Tensor) -> Tensor:
    """Gumbel variables `[rows, vocab]`, moved so that the largest of a row is `largest: [rows, 1]`.

    `-log(exp(-largest) - exp(-max free) + exp(-free))`, computed as in Kool et al. 2019, appendix
    B.3: without a difference of large numbers. -inf stays -inf.
    """
    gap = torch.where(free > IMPOSSIBLE, free - free.amax(-1, keepdim=True), IMPOSSIBLE)
    # log(1 - exp(gap)) for a gap <= 0, precise near 0 and far from it.
    near, far = torch.log(-torch.expm1(gap)), torch.log1p(-torch.exp(gap))
    moved = largest - free + torch.where(gap > -0.693, near, far)
    moved = largest - moved.clamp(min=0) - torch.log1p(torch.exp(-moved.abs()))
    return torch.where(free > IMPOSSIBLE, moved, IMPOSSIBLE)


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
            columns = live_first(live, staying)
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
        columns = best(perturbed.view(sources, -1), self.beam_size)
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
    return possible & ~over & (ranks > thresholds(beams, ranks.device).unsqueeze(1))
