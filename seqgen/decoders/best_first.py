"""BestFirst, the search of one source in the order of what its sequences may still come to."""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from seqgen.decoders.base import Hypothesis
from seqgen.decoders.length_normalisation import LengthNormalisation
from seqgen.decoders.n_best import NBest, standing
from seqgen.state import State

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
