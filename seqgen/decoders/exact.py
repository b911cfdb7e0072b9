"""The decoder `exact`: the most probable sequence, found for certain."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from seqgen.decoders.base import Decoder, Hypothesis, decoders
from seqgen.decoders.best_first import BestFirst, Node, Scores
from seqgen.decoders.length_normalisation import Alpha, Formula, LengthNormalisation
from seqgen.decoders.scores import open_rows
from seqgen.decoders.stepper import Limits, Start, Stepper
from seqgen.options import Size
from seqgen.state import State, concatenate, map_state, reorder


@decoders.register("exact")
class Exact(Decoder):
    """The `n_best` sequences with the highest rank of all, by best-first search.

    Stahlberg and Byrne 2019 search depth first for the same; ranks are those of `beam`. A search
    that is still not sure after `max_nodes` steps of a path (the greedy path not counted once it
    is over) gives the best that it has found, no worse than greedy, and says so: `complete` is
    False for those hypotheses above which a better one may be missing. How many steps it takes
    depends on the model: a few times the length where it is sure of itself, without end where it
    is not.

    A step of the model reads up to `nodes_at_once` paths of each source, some of them in vain, to
    be faster. Each open path keeps its state: memory grows with `max_nodes`. For steppers whose
    scores are never above 0.
    """

    draws = False

    def __init__(
        self,
        n_best: Size = 1,
        max_nodes: Size = 10_000,
        length_normalisation: Formula = "none",
        alpha: Alpha = 1.0,
        nodes_at_once: Size = 8,
    ) -> None:
        sizes = {"n_best": n_best, "max_nodes": max_nodes, "nodes_at_once": nodes_at_once}
        for name, size in sizes.items():
            if size < 1:
                raise ValueError(f"`{name}` must be at least 1, but is {size}")
        self.n_best = n_best
        self.max_nodes = max_nodes
        self.normalisation = LengthNormalisation(length_normalisation, alpha)
        self.nodes_at_once = nodes_at_once

    def decode(self, stepper: Stepper, start: Start, limits: Limits) -> list[list[Hypothesis]]:
        """At most `n_best` hypotheses for each source; fewer where there are no more."""
        searches = [
            self._begin(start, source, room)
            for source, room in enumerate(limits.lengths(start).tolist())
        ]
        while picked := [
            (source, node)
            for source, search in enumerate(searches)
            for node in search.pick(self.nodes_at_once)
        ]:
            log_probs, state, going = _step(stepper, start, picked)
            is_end = np.zeros(log_probs.shape[1], dtype=bool)
            is_end[list(limits.ends)] = True
            ordered = log_probs.detach().double().cpu().sort(dim=-1, descending=True, stable=True)
            tokens, values = ordered.indices.numpy(), ordered.values.numpy()
            for row, (source, node) in enumerate(picked):
                if not going[row]:
                    searches[source].give_up(node)
                    continue
                # A copy of the row: a slice would keep the states of the whole step in memory.
                behind = map_state(lambda each, row=row: each[row : row + 1].clone(), state)
                searches[source].expand(node, Scores(tokens[row], values[row]), is_end, behind)
        return [search.results() for search in searches]

    def _begin(self, start: Start, source: int, room: int) -> BestFirst:
        row = torch.tensor([source], device=start.tokens.device)
        root = Node((), (), 0.0, int(start.tokens[source]), reorder(start.state, row))
        return BestFirst(root, room, self.n_best, self.normalisation, self.max_nodes)


def _step(
    stepper: Stepper, start: Start, picked: list[tuple[int, Node]]
) -> tuple[Tensor, State, list[bool]]:
    """One step of all `picked` nodes, a row each: `[rows, vocab]`, the state behind it, and which
    of them are no dead ends."""
    device = start.tokens.device
    sources = torch.tensor([source for source, _ in picked], device=device)
    tokens = torch.tensor([node.last for _, node in picked], device=device)
    state = concatenate(*(node.state for _, node in picked))
    log_probs, state = stepper.step(tokens, state, reorder(start.context, sources))
    lengths = torch.tensor([len(node.tokens) for _, node in picked], device=device)
    return log_probs, state, open_rows(log_probs, sources, lengths).tolist()
