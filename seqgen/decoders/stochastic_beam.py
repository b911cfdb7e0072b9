"""The decoder `stochastic_beam`: different sequences, drawn at random without replacement."""

from __future__ import annotations

import torch
from torch import Tensor

from seqgen.decoders.base import Decoder, Hypothesis, decoders
from seqgen.decoders.frontier import Frontier
from seqgen.decoders.gumbel import Perturbed
from seqgen.decoders.n_best import NBest
from seqgen.decoders.paths import IMPOSSIBLE, Growth, best
from seqgen.decoders.stepper import Limits, Start, Stepper
from seqgen.options import Size


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
