"""Traces: what a search considered, kept and dropped at each step, seen from the stepper."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from seqgen.decoders.base import Constraint, Hypothesis, Limits, Start, Stepper
from seqgen.decoders.search import IMPOSSIBLE, best
from seqgen.errors import PluginError
from seqgen.state import State

NOBODY = -1
"""The parent of a source's first node, and what stands for no node."""

_NOWHERE = -2
"""The node of a row that holds no path any more; whatever follows it is nowhere, too."""


class TraceNode(NamedTuple):
    """A path that the search went on with, by its last token.

    `parent` is the number of the node before, NOBODY for the empty path, whose `token` is what the
    model read to begin. `log_prob` is what the stepper gave to the token, `considered` the most
    probable tokens behind it with theirs, the impossible ones left out. Of these the search kept
    those that have a node, or end a hypothesis.
    """

    source: int
    parent: int
    token: int
    log_prob: float
    considered: tuple[tuple[int, float], ...]


class _TracedState(NamedTuple):
    """The stepper's own state, and of each row its node, what followed it, and its source."""

    inner: State
    nodes: Tensor
    log_probs: Tensor
    sources: Tensor


class Trace:
    """A stepper around another one, which notes each step that a search takes with it.

    The number of a row's node stands in its state, so it goes wherever the search moves the row:
    what is kept and what is dropped shows without the search knowing of it, whichever it is. Rows
    at the same path of the same source, as those of several samples may be, share a node. `most` is
    how many of the tokens considered are noted, `ends` are the tokens that end a sequence: a row
    that goes on behind one is dragged along and holds no path.
    """

    def __init__(self, stepper: Stepper, most: int = 10, ends: Collection[int] = ()) -> None:
        self.nodes: list[TraceNode] = []
        self.begun: list[int] = []  # the token that each source reads first
        self._stepper = stepper
        self._most = most
        self._ends = frozenset(ends)
        self._numbers: dict[tuple[int, int, int], int] = {}  # of source, parent and token

    def begin(self, start: Start) -> Start:
        """The start from which a search is traced."""
        self.begun = start.tokens.tolist()
        sources = torch.arange(len(start.tokens), device=start.tokens.device)
        nothing = torch.zeros(len(sources), 0, device=sources.device)
        nobody = torch.full_like(sources, NOBODY)
        return start._replace(state=_TracedState(start.state, nobody, nothing, sources))

    def step(self, tokens: Tensor, state: Any, context: State) -> tuple[Tensor, State]:
        """`tokens: [rows]` to `[rows, vocab]`, as the stepper within."""
        inner, parents, before, sources = state
        log_probs, inner = self._stepper.step(tokens, inner, context)
        given = torch.zeros(len(tokens), device=tokens.device)
        if before.shape[1]:
            given = before.gather(1, tokens.unsqueeze(1)).squeeze(1)
        nodes = self._note((sources, parents, tokens, given), log_probs)
        return log_probs, _TracedState(inner, nodes, log_probs, sources)

    def path(self, node: int) -> tuple[int, ...]:
        """The generated tokens that lead to a node."""
        tokens: list[int] = []
        while (here := self.nodes[node]).parent != NOBODY:
            tokens.append(here.token)
            node = here.parent
        return tuple(reversed(tokens))

    def ends(self, source: int, found: Sequence[Hypothesis]) -> list[int]:
        """For each hypothesis of a source the node behind which its last token was chosen; NOBODY
        for one without tokens.

        Errors: PluginError where the search took no steps to it, or impossible ones; ours do not.
        """
        return [self._end(source, each.tokens) for each in found]

    def _end(self, source: int, tokens: Sequence[int]) -> int:
        node = NOBODY
        for place, token in enumerate((self.begun[source], *tokens)[: len(tokens)]):
            found = self._numbers.get((source, node, token))
            if found is None:
                raise PluginError(
                    f"a decoder found a sequence with the token {token} at place {place}, but took "
                    "no step from there, or was told that it is impossible (seqgen check says more)"
                )
            node = found
        return node

    def _note(self, rows: tuple[Tensor, ...], log_probs: Tensor) -> Tensor:
        """The node of each row, `[rows]`; those that hold no path get none."""
        known = log_probs.nan_to_num(nan=IMPOSSIBLE, neginf=IMPOSSIBLE)  # the search complains
        places = best(known, self._most)
        columns = (each.tolist() for each in (*rows, places, known.gather(1, places)))
        numbers = []
        for source, parent, token, given, *considered in zip(*columns, strict=True):
            over = parent >= 0 and token in self._ends
            if parent == _NOWHERE or over or given == IMPOSSIBLE:
                numbers.append(_NOWHERE)
                continue
            number = self._numbers.setdefault((source, parent, token), len(self.nodes))
            if number == len(self.nodes):
                pairs = zip(*considered, strict=True)
                possible = tuple(pair for pair in pairs if pair[1] > IMPOSSIBLE)
                self.nodes.append(TraceNode(source, parent, token, given, possible))
            numbers.append(number)
        return torch.tensor(numbers, dtype=torch.long, device=log_probs.device)


# Traced, the constraint that changes nothing and keeps what a search did.


class Traced(Constraint):
    """Keeps a Trace of each search that it is part of, in `traces`, the last one last.

    It must be the last constraint of a decoder, as `watched(decoder, Traced())` makes it: so it
    sees what the search sees. Being no part of a recipe, it is not registered. `most` is how many
    of the tokens considered at each step are noted.
    """

    def __init__(self, most: int = 10) -> None:
        if most < 1:
            raise ValueError(f"`most` must be at least 1, but is {most}")
        self.most = most
        self.traces: list[Trace] = []

    def wrap(
        self, stepper: Stepper, start: Start, limits: Limits, batch: Any
    ) -> tuple[Stepper, Start]:
        """A Trace around the stepper, and its start."""
        trace = Trace(stepper, self.most, limits.ends)
        self.traces.append(trace)
        return trace, trace.begin(start)


# Counting, a constraint that changes nothing and counts what a search has the model read.


class Counting(Constraint):
    """Counts the steps of all searches that are `watched` by it, over all their batches.

    `calls` is how often the stepper took a step, `rows` how many rows it read in them: one for
    each path and step. What a search reads in vain counts, too: all samples of
    `minimum_bayes_risk`, each node of `exact`. A constraint takes one step of what is within for
    each of its own, so these are the run's own model's steps; further models of an `ensemble` or a
    `language_model` read as many rows beside it, which are not counted. Nor is what an encoder
    reads.

    `rows` are the same however the sources are batched, `calls` are not: sources that share a
    batch share their calls.
    """

    def __init__(self) -> None:
        self.calls = 0
        self.rows = 0

    def wrap(
        self, stepper: Stepper, start: Start, limits: Limits, batch: Any
    ) -> tuple[Stepper, Start]:
        """A stepper that counts, and the same start."""
        return _Counted(stepper, self), start


class _Counted:
    """A stepper whose steps are counted."""

    def __init__(self, stepper: Stepper, counting: Counting) -> None:
        self.stepper = stepper
        self.counting = counting

    def step(self, tokens: Tensor, state: State, context: State) -> tuple[Tensor, State]:
        """`tokens: [rows]` to `[rows, vocab]`, as the stepper within."""
        self.counting.calls += 1
        self.counting.rows += len(tokens)
        return self.stepper.step(tokens, state, context)
