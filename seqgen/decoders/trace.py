"""Traces: what a search considered, kept and dropped at each step, seen from the stepper."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from seqgen.decoders.base import Hypothesis
from seqgen.decoders.stepper import Start, Stepper
from seqgen.state import State

NOBODY = -1
"""The parent of a source's first node, and what stands for no node."""


class TraceNode(NamedTuple):
    """A path that the search went on with, by its last token.

    `parent` is the number of the node before, NOBODY for the empty path, whose `token` is what the
    model read to begin. `log_prob` is what the stepper gave to the token, `considered` the most
    probable tokens behind it with theirs. Of these the search kept those that have a node, or end
    a hypothesis.
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
    what is kept and what is dropped shows without the search knowing of it, whichever it is. `most`
    is how many of the tokens considered are noted.
    """

    def __init__(self, stepper: Stepper, most: int = 10) -> None:
        self.nodes: list[TraceNode] = []
        self._stepper = stepper
        self._most = most

    def begin(self, start: Start) -> Start:
        """The start from which a search is traced."""
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
        for one without tokens."""
        by_path = {self.path(i): i for i, each in enumerate(self.nodes) if each.source == source}
        return [by_path[each.tokens[:-1]] if each.tokens else NOBODY for each in found]

    def _note(self, rows: tuple[Tensor, ...], log_probs: Tensor) -> Tensor:
        """A node for each row, `[rows]`; rows that no path with any probability has led to, which
        a search may drag along, get none."""
        values, best = log_probs.topk(min(self._most, log_probs.shape[1]))
        numbers = []
        columns = (each.tolist() for each in (*rows, best, values))
        for source, parent, token, given, *considered in zip(*columns, strict=True):
            if given == float("-inf"):
                numbers.append(parent)
                continue
            numbers.append(len(self.nodes))
            pairs = tuple(zip(*considered, strict=True))
            self.nodes.append(TraceNode(source, parent, token, given, pairs))
        return torch.tensor(numbers, dtype=torch.long, device=log_probs.device)
