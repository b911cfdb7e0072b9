"""The decoder `exact`: the most probable sequence, found for certain."""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from seqgen.decoders.base import Decoder, Hypothesis, Limits, Start, Stepper, decoders
from seqgen.decoders.guards import check_scores
from seqgen.decoders.search import Alpha, Formula, LengthNormalisation, NBest, longest_dead_end
from seqgen.options import Size
from seqgen.state import State, concatenate, map_state, reorder

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


class Scores(NamedTuple):
    """What a stepper gave after a node: `tokens` from the most probable to the least, with their
    `log_probs`, both `[vocab]`. Arrays, for which a small step costs less than for tensors."""

    tokens: NDArray[np.int64]
    log_probs: NDArray[np.float64]

    def at(self, places: slice | NDArray[np.bool_]) -> Scores:
        return Scores(self.tokens[places], self.log_probs[places])


class Siblings(NamedTuple):
    """The children of `parent` that may go on, which has led to `state`; the best first."""

    parent: Node
    scores: Scores
    state: State

    def node(self, place: int) -> Node:
        parent = self.parent
        token, log_prob = int(self.scores.tokens[place]), float(self.scores.log_probs[place])
        tokens, log_probs = (*parent.tokens, token), (*parent.log_probs, log_prob)
        return Node(tokens, log_probs, parent.score + log_prob, token, self.state)


class BestFirst:
    """The open and the finished sequences of one source, searched by upper bound.

    Log-probabilities only make a score fall, so the rank that a sequence may still reach is
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
        self._open: list[tuple[float, int, Siblings, int]] = []  # by upper bound
        self._pushed = 0
        self._next_greedy: Node | None = root if room else None  # the end of the greedy path
        self._greedy: Node | None = None  # the same, picked and not yet expanded
        self._dead_end: Hypothesis | None = None  # the longest path that came to one

    def pick(self, count: int) -> list[Node]:
        """At most `count` nodes to `expand` next; none when the search is over."""
        picked = [] if self._next_greedy is None else [self._next_greedy]
        self._greedy, self._next_greedy = self._next_greedy, None
        while len(picked) < min(count, self.budget) and self._upper() > self.found.threshold:
            *_, siblings, place = heapq.heappop(self._open)
            picked.append(siblings.node(place))
            self._push(siblings, place + 1)
        self.budget -= len(picked)
        if self._greedy is None and picked and not self.found.hypotheses:  # it came to a dead end
            self._greedy = picked[0]
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
        kept = scores.at(~ending & (bounds > self.found.threshold))
        children, greedy = Siblings(node, kept, state), node is self._greedy and not ending[0]
        if greedy and len(kept.tokens):
            self._next_greedy = children.node(0)
        self._push(children, int(greedy))

    def give_up(self, node: Node) -> None:
        """Enter that `node` is a dead end."""
        dead = Hypothesis(node.tokens, node.score, False, node.log_probs, satisfied=False)
        self._dead_end = longest_dead_end(self._dead_end, dead)

    def results(self) -> list[Hypothesis]:
        """The best ones, `complete` where nothing better can be missing; where there is none, a
        dead end, `complete` if all other paths came to one."""
        upper = self._upper()
        if self.found.hypotheses:
            every = self.found.hypotheses
            return [each._replace(complete=each.ranking_score >= upper) for each in every]
        found = self.normalisation.ranked(self._dead_end or Hypothesis((), 0.0, False))
        return [found._replace(complete=upper == float("-inf"))]

    def _finish(self, node: Node, scores: Scores, is_end: NDArray[np.bool_]) -> None:
        """Enter the hypotheses that append one of the tokens of `scores` to `node`."""
        divisor = self.normalisation.divisor(len(node.tokens) + 1)
        for token, log_prob in zip(scores.tokens.tolist(), scores.log_probs.tolist(), strict=True):
            score = node.score + log_prob
            if score / divisor > self.found.threshold:  # -inf never is
                tokens, log_probs = (*node.tokens, token), (*node.log_probs, log_prob)
                found = Hypothesis(tokens, score, bool(is_end[token]), log_probs)
                self.found.add(self.normalisation.ranked(found))

    def _push(self, siblings: Siblings, place: int) -> None:
        """Queue the one at `place`, if there is one, by its upper bound."""
        if place < len(siblings.scores.tokens):
            self._pushed += 1  # ties go to the one that was pushed first
            score = siblings.parent.score + float(siblings.scores.log_probs[place])
            bound = self._bound(score, len(siblings.parent.tokens) + 1)
            heapq.heappush(self._open, (-bound, self._pushed, siblings, place))

    def _bound(self, scores: Bounds, length: int) -> Bounds:
        """The highest rank that open sequences of `length` tokens may still reach.

        As in `LengthNormalisation.bound`: the present score at its best length, which is the next
        one or the last one.
        """
        divisor = self.normalisation.divisor
        return scores / max(divisor(length + 1), divisor(self.room))

    def _upper(self) -> float:
        """The highest rank that any open sequence may still reach."""
        return -self._open[0][0] if self._open else float("-inf")


@decoders.register("exact")
@dataclass
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
    claims = frozenset({"best"})

    n_best: Size = 1
    max_nodes: Size = 10_000
    length_normalisation: Formula = "none"
    alpha: Alpha = 1.0
    nodes_at_once: Size = 8

    def decode(self, stepper: Stepper, start: Start, limits: Limits) -> list[list[Hypothesis]]:
        """At most `n_best` hypotheses for each source; fewer where there are no more."""
        normalisation = LengthNormalisation(self.length_normalisation, self.alpha)
        searches, device = [], start.tokens.device
        for source, room in enumerate(limits.lengths(start).tolist()):
            state = reorder(start.state, torch.tensor([source], device=device))
            root = Node((), (), 0.0, int(start.tokens[source]), state)
            searches.append(BestFirst(root, room, self.n_best, normalisation, self.max_nodes))
        while picked := [
            (source, node)
            for source, search in enumerate(searches)
            for node in search.pick(self.nodes_at_once)
        ]:
            # One step of all that are picked, a row each.
            sources = torch.tensor([source for source, _ in picked], device=device)
            tokens = torch.tensor([node.last for _, node in picked], device=device)
            lengths = torch.tensor([len(node.tokens) for _, node in picked], device=device)
            state = concatenate(*(node.state for _, node in picked))
            log_probs, state = stepper.step(tokens, state, reorder(start.context, sources))
            going = check_scores(log_probs, sources, lengths).tolist()
            is_end = np.zeros(log_probs.shape[1], dtype=bool)
            is_end[list(limits.ends)] = True
            ordered = log_probs.detach().double().cpu().sort(dim=-1, descending=True, stable=True)
            best = Scores(ordered.indices.numpy(), ordered.values.numpy())
            for row, (source, node) in enumerate(picked):
                if not going[row]:
                    searches[source].give_up(node)
                    continue
                # A copy of the row: a slice would keep the states of the whole step in memory.
                after = map_state(lambda each, row=row: each[row : row + 1].clone(), state)
                scores = Scores(best.tokens[row], best.log_probs[row])
                searches[source].expand(node, scores, is_end, after)
        return [search.results() for search in searches]
