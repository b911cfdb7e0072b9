"""Traces: what a search considered, kept and dropped at each step, seen from the stepper."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from seqgen.decoders.base import Hypothesis
from seqgen.decoders.paths import IMPOSSIBLE, best
from seqgen.decoders.stepper import Start, Stepper
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
