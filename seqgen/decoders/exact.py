"""The decoder `exact`: the most probable sequence, found for certain."""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seqgen.decoders.base import Decoder, Hypothesis, Limits, Start, Stepper, decoders, open_rows
from seqgen.decoders.search import Alpha, Formula, LengthNormalisation, NBest, standing
from seqgen.options import Size
from seqgen.state import State, concatenate, map_state, reorder

# BestFirst, the search of one source in the order of what its sequences may still come to.


Bounds = TypeVar("Bounds", float, NDArray[np.float64])


@dataclass(frozen=True)
class Node:
    """A sequence that may go on, and the state before its last token (`last`) was read.

    The root has no tokens, and `last` is what the first step reads.
    """

    tokens: tuple[int, ...]
    log_probs: tuple[float, ...]
    score: float
    last: int
    state: State

    def child(self, token: int, log_prob: float, state: State) -> Node:
        """The node that has `token` behind, whose parent left `state`."""
        log_probs = (*self.log_probs, log_prob)
        return Node((*self.tokens, token), log_probs, self.score + log_prob, token, state)


class Scores(NamedTuple):
    """What a stepper said behind a node: `tokens` from the most probable to the least, with their
    `log_probs`, both `[vocab]`. Arrays, for which a small step costs less than for tensors."""

    tokens: NDArray[np.int64]
    log_probs: NDArray[np.float64]

    def at(self, places: slice | NDArray[np.bool_]) -> Scores:
        """Those at `places`."""
        return Scores(self.tokens[places], self.log_probs[places])


@dataclass
class _Family:
    """The children of a node that may go on, best first; `taken` of them are nodes already."""

    parent: Node
    scores: Scores
    state: State
    taken: int = 0

    def __len__(self) -> int:
        """How many there are still to take."""
        return len(self.scores.tokens) - self.taken

    @property
    def score(self) -> float:
        """The score of the next child."""
        return self.parent.score + float(self.scores.log_probs[self.taken])

    def take(self) -> Node:
        """The next child."""
        token, log_prob = self.scores.tokens[self.taken], self.scores.log_probs[self.taken]
        self.taken += 1
        return self.parent.child(int(token), float(log_prob), self.state)


class BestFirst:
    """The sequences of one source that are open, and those that are over.

    Log-probabilities only make a score fall, so the rank that a sequence may still come to is
    bounded by what it has. The sequence with the highest bound goes on first. As soon as no bound
    exceeds the last of the `n_best` that are found, these are the best of all sequences.

    Besides, the greedy path goes on at each step until it is over: whenever the budget of
    `max_nodes` runs out, something is found, no worse than that path.
    """

    def __init__(
        self, root: Node, room: int, n_best: int, normalisation: LengthNormalisation, max_nodes: int
    ) -> None:
        self.room = room
        self.normalisation = normalisation
        self.budget = max_nodes
        self.found = NBest(n_best)
        self._open: list[tuple[float, int, _Family]] = []
        self._pushed = 0
        self._next_dive: Node | None = root if room else None  # the end of the greedy path
        self._diving: Node | None = None  # the same, picked and not yet expanded
        self._dead_end: Node | None = None  # the longest path that came to one

    def pick(self, count: int) -> list[Node]:
        """At most `count` nodes to `expand` next; none when the search is over."""
        picked = [] if self._next_dive is None else [self._next_dive]
        self._diving, self._next_dive = self._next_dive, None
        while len(picked) < min(count, self.budget) and self._hope() > self.found.threshold:
            family = heapq.heappop(self._open)[2]
            picked.append(family.take())
            self._push(family)
        self.budget -= len(picked)
        if self._diving is None and picked and not self.found.hypotheses:  # it came to a dead end
            self._diving = picked[0]
        return picked

    def expand(self, node: Node, scores: Scores, is_end: NDArray[np.bool_], state: State) -> None:
        """Enter how `node` goes on: by `scores`, from the `state` that it has led to.

        `is_end: [vocab]` says which tokens end a sequence.
        """
        if len(node.tokens) + 1 == self.room:
            self._finish(node, scores.at(slice(self.found.size)), is_end)
            return
        ending = is_end[scores.tokens]
        self._finish(node, scores.at(ending), is_end)
        # A slice would keep the scores of the whole step in memory, so what is kept is a copy.
        bounds = self._bound(node.score + scores.log_probs, len(node.tokens) + 1)
        family = _Family(node, scores.at(~ending & (bounds > self.found.threshold)), state)
        if node is self._diving and not ending[0] and len(family):
            self._next_dive = family.take()
        self._push(family)

    def give_up(self, node: Node) -> None:
        """Enter that `node` is a dead end."""
        best = self._dead_end or node
        if (len(node.tokens), node.score) >= (len(best.tokens), best.score):
            self._dead_end = node

    def results(self) -> list[Hypothesis]:
        """The best ones, and whether each is known to stand where it belongs; where there is none,
        a dead end, and whether all others are."""
        hope = self._hope()
        if not self.found.hypotheses:
            end = self._dead_end
            found = Hypothesis((), 0.0, False)
            if end is not None:
                found = Hypothesis(end.tokens, end.score, False, end.log_probs, satisfied=False)
            return [self.normalisation.ranked(found)._replace(complete=hope == float("-inf"))]
        return [each._replace(complete=standing(each) >= hope) for each in self.found.hypotheses]

    def _finish(self, node: Node, scores: Scores, is_end: NDArray[np.bool_]) -> None:
        """Enter the hypotheses that have one of the tokens of `scores` behind `node`."""
        divisor = self.normalisation.divisor(len(node.tokens) + 1)
        plain = self.normalisation.formula == "none"
        for token, log_prob in zip(scores.tokens.tolist(), scores.log_probs.tolist(), strict=True):
            rank = (node.score + log_prob) / divisor
            if rank > self.found.threshold:  # -inf never does
                over = node.child(token, log_prob, None)
                finished, shown = bool(is_end[token]), None if plain else rank
                self.found.add(Hypothesis(over.tokens, over.score, finished, over.log_probs, shown))

    def _push(self, family: _Family) -> None:
        """Wait for the turn of the family's next child."""
        if len(family):
            bound = self._bound(family.score, len(family.parent.tokens) + 1)
            self._pushed += 1  # of equals, the first one goes first
            heapq.heappush(self._open, (-bound, self._pushed, family))

    def _bound(self, scores: Bounds, length: int) -> Bounds:
        """The highest rank that open sequences of `length` tokens may still come to.

        As in `LengthNormalisation.bound`: the present score at its best length, which is the next
        one or the last one.
        """
        divisor = self.normalisation.divisor
        return scores / max(divisor(length + 1), divisor(self.room))

    def _hope(self) -> float:
        """The highest rank that an open sequence may still come to."""
        return -self._open[0][0] if self._open else float("-inf")


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
