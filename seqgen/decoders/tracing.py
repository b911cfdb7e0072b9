"""Constraints that change nothing and watch a search: what it considers, draws from, and costs."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Annotated, Any, NamedTuple

import torch
from pydantic import Field
from torch import Tensor

from seqgen.decoders.base import Constraint, Decoder, Hypothesis, Limits, Start, Stepper, Wrapped
from seqgen.decoders.guards import IMPOSSIBLE, intercept
from seqgen.decoders.search import best
from seqgen.decoders.truncating import row_sum
from seqgen.errors import PluginError

ROOT_PARENT = -1
"""The parent of a source's first node, and what stands for no node."""

DEAD = -2
"""The node of a row that holds no path any more; whatever follows it is dead, too."""


class TraceNode(NamedTuple):
    """A path that the search went on with, by its last token.

    `parent` is the number of the node before, ROOT_PARENT for the empty path, whose `token` is what
    the model read to begin. `log_prob` is what the stepper gave to the token, `considered` the most
    probable tokens after it with theirs, the impossible ones left out. Of these the search kept
    those that have a node, or end a hypothesis.
    """

    source: int
    parent: int
    token: int
    log_prob: float
    considered: tuple[tuple[int, float], ...]


class SearchTrace:
    """Records each step that a search takes: with `watch`, which wraps the stepper that it uses.

    The number of a row's node is part of its state, so it goes wherever the search moves the row:
    what is kept and what is dropped shows without the search knowing of it, whichever it is. Rows
    at the same path of the same source, as those of several samples may be, share a node. `most` is
    how many of the tokens considered are recorded, `ends` are the tokens that end a sequence: a row
    that goes on after one holds no path.
    """

    def __init__(self, most: int = 10, ends: Collection[int] = ()) -> None:
        self.most = most
        self.end_tokens = frozenset(ends)
        self.nodes: list[TraceNode] = []
        self.begun: list[int] = []  # the token that each source reads first
        self._places: dict[tuple[int, int, int], int] = {}  # of source, parent and token

    def watch(self, stepper: Stepper, start: Start) -> Wrapped:
        """The memory is the node of each row, what followed it, and its source."""
        self.begun = start.tokens.tolist()
        sources = torch.arange(len(start.tokens), device=start.tokens.device)
        nothing = torch.zeros(len(sources), 0, device=sources.device)
        roots = torch.full_like(sources, ROOT_PARENT)
        return intercept(stepper, start, self._record, roots, nothing, sources)

    def path(self, node: int) -> tuple[int, ...]:
        """The generated tokens that lead to a node."""
        tokens: list[int] = []
        while (here := self.nodes[node]).parent != ROOT_PARENT:
            tokens.append(here.token)
            node = here.parent
        return tuple(reversed(tokens))

    def ends(self, source: int, found: Sequence[Hypothesis]) -> list[int]:
        """For each hypothesis of a source the node after which its last token was chosen;
        ROOT_PARENT for one without tokens.

        Raises PluginError if the search took no steps to it, or impossible ones; ours do not.
        """
        nodes = []
        for each in found:
            node = ROOT_PARENT
            read = (self.begun[source], *each.tokens)[: len(each.tokens)]
            for place, token in enumerate(read):
                if (source, node, token) not in self._places:
                    raise PluginError(
                        f"a decoder found a sequence with the token {token} at place {place}, but "
                        "took no step from there, or saw it as impossible (seqgen check "
                        "says more)"
                    )
                node = self._places[source, node, token]
            nodes.append(node)
        return nodes

    def _record(
        self, log_probs: Tensor, tokens: Tensor, parents: Tensor, before: Tensor, sources: Tensor
    ) -> tuple[Tensor, ...]:
        """Notes the nodes of a step; a row that holds no path has none, it is DEAD."""
        given = torch.zeros(len(tokens), device=tokens.device)
        if before.shape[1]:
            given = before.gather(1, tokens.unsqueeze(1)).squeeze(1)
        known = log_probs.nan_to_num(nan=IMPOSSIBLE, neginf=IMPOSSIBLE)  # the search complains
        places = best(known, self.most)
        columns = (sources, parents, tokens, given, places, known.gather(1, places))
        nodes = []
        for source, parent, token, log_prob, *considered in zip(
            *(each.tolist() for each in columns), strict=True
        ):
            over = parent >= 0 and token in self.end_tokens
            if parent == DEAD or over or log_prob == IMPOSSIBLE:
                nodes.append(DEAD)
                continue
            node = self._places.setdefault((source, parent, token), len(self.nodes))
            if node == len(self.nodes):
                pairs = zip(*considered, strict=True)
                possible = tuple(pair for pair in pairs if pair[1] > IMPOSSIBLE)
                self.nodes.append(TraceNode(source, parent, token, log_prob, possible))
            nodes.append(node)
        return log_probs, sources.new_tensor(nodes), log_probs, sources


@dataclass
class Tracing(Constraint):
    """Keeps a SearchTrace of each search that it is part of, in `traces`, in their order.

    It must be the last constraint of a decoder, as `watched(decoder, Tracing())` makes it: so it
    sees what the search sees. Being no part of a recipe, it is not registered. `most` is how many
    of the tokens considered at each step are recorded.
    """

    watches = True
    most: Annotated[int, Field(ge=1)] = 10
    traces: list[SearchTrace] = field(default_factory=list, init=False)

    def wrap(self, stepper: Stepper, start: Start, limits: Limits, batch: Any) -> Wrapped:
        self.traces.append(SearchTrace(self.most, limits.ends))
        return self.traces[-1].watch(stepper, start)


@dataclass
class Counting(Constraint):
    """Counts the steps of all searches that are `watched` by it, over all their batches.

    `calls` is how often the stepper took a step, `rows` how many rows it read in them: one for
    each path and step. What a search reads in vain counts, too: all samples of
    `minimum_bayes_risk`, each node of `exact`. A constraint takes one step of what is within for
    each of its own, so these are the run's own model's steps; further models of an `ensemble` or a
    `language_model` read as many rows besides, which are not counted. Nor is what an encoder reads.

    `rows` are the same however the sources are batched, `calls` are not: sources that share a
    batch share their calls.
    """

    watches = True
    calls: int = 0
    rows: int = 0

    def wrap(self, stepper: Stepper, start: Start, limits: Limits, batch: Any) -> Wrapped:
        def count(log_probs: Tensor, tokens: Tensor) -> tuple[Tensor]:
            self.calls += 1
            self.rows += len(tokens)
            return (log_probs,)

        return intercept(stepper, start, count)


@dataclass
class Drawing(Constraint):
    """Compares what `decoder`, which is `watched` by it, draws from with what the stepper gives.

    `sums[t]` is over all rows that took step t: how many there are, and their sums of the
    divergence `KL(drawn || given)`, of the given probability of tokens that are never drawn, and
    of the entropy of what is drawn from, in nats. Empty for what does not draw token by token.
    """

    watches = True
    decoder: Decoder
    sums: list[Tensor] = field(default_factory=list, init=False)

    def wrap(self, stepper: Stepper, start: Start, limits: Limits, batch: Any) -> Wrapped:
        steps = count()

        def note(log_probs: Tensor, tokens: Tensor) -> tuple[Tensor]:
            if self.decoder.streams and "sample" in self.decoder.claims:
                step, weights = next(steps), self.decoder.weights(log_probs)
                drawn = weights / row_sum(weights)
                given = log_probs.double().log_softmax(-1)
                apart = torch.where(drawn > 0, drawn * (drawn.log() - given), 0.0).sum(-1)
                apart = apart.where(apart > 1e-12, 0.0)  # less than that is rounding
                cut = given.exp().masked_fill(drawn > 0, 0.0).sum(-1)
                found = [torch.ones_like(cut), apart, cut, torch.special.entr(drawn).sum(-1)]
                if step == len(self.sums):
                    self.sums.append(torch.zeros(4, dtype=torch.float64))
                self.sums[step] += torch.stack(found).sum(1).cpu()
            return (log_probs,)

        return intercept(stepper, start, note)
