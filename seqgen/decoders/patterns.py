"""The constraint `pattern`: texts that match a regular expression.

The expression becomes an automaton of bytes (by outlines-core), and this, with what each token adds
to a text, a graph of tokens: a path through it to a final node is an output that matches.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass
from importlib.util import find_spec
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seqgen.decoders.automaton import GIBIBYTES, SECONDS, TooLargeError, automaton_of
from seqgen.decoders.base import Constraint, Limits, Start, Stepper, Wrapped, constraints
from seqgen.decoders.guards import IMPOSSIBLE, intercept
from seqgen.decoders.phrases import BASE, in_ranges
from seqgen.options import shown
from seqgen.state import map_state
from seqgen.tokenizers import UNK, Contents

Ints = NDArray[np.int64]

NEVER = np.iinfo(np.int64).max // 2
"""How many tokens lead from a node to a final one if none do."""

SENTINEL = "\U0010ffff"
"""A character that no text has. With it at the end an expression matches as a whole or not at all,
while the automaton without it prefers the first of several alternatives."""

BYTES = 256
PAIRS = 1 << 24
"""How many states with a token each are looked at together: 128 MiB an array."""
MOST_EDGES = 1 << 24
"""How many a graph may have, about 2 GiB while it is made."""

SMALLER = "take smaller counts, or none: max_length limits the text as well"
TOO_LARGE = f"is too large: it takes more than {SECONDS} s or {GIBIBYTES} GiB; {SMALLER}"


class ByteAutomaton(NamedTuple):
    """`after: [states, 256]` is where a byte leads from a state, `final: [states]` says where a
    text may end. State 0 is the one from which nothing leads on, 1 is the first."""

    after: Ints
    final: NDArray[np.bool_]


def byte_automaton(regex: str, used: set[int]) -> ByteAutomaton:
    """The automaton of the texts that `regex` matches from their beginning to their end.

    Bytes that are not `used` by any token may be left out. Raises ValueError if outlines-core is
    not installed or cannot read `regex`, or the automaton is too large.
    """
    if find_spec("outlines_core") is None:
        needed = "pattern needs outlines-core: pip install 'seqgen-toolkit[structured]'"
        raise ValueError(needed)
    try:
        found = automaton_of(f"(?:{regex}){SENTINEL}", regex, {*used, *SENTINEL.encode()})
    except TooLargeError:
        raise ValueError(f"the automaton of the `regex` {shown(regex)} {TOO_LARGE}") from None
    except ValueError:
        reason = "anchors, look-around, \\b and backreferences are not possible"
        try:
            re.compile(regex)
        except (re.error, OverflowError, RecursionError) as python:
            reason = str(python)
        wanted = "`regex` must be a regular expression that outlines-core can read"
        raise ValueError(f"{wanted}, but is {shown(regex)}: {reason}") from None
    if found is None:
        return ByteAutomaton(np.zeros((2, BYTES), np.int64), np.zeros(2, bool))
    numbers = {found.first: 1}
    for state in chain(found.moves, *(each.values() for each in found.moves.values())):
        numbers.setdefault(state, len(numbers) + 1)
    after = np.zeros((len(numbers) + 1, BYTES + 1), np.int64)
    for state, row in found.moves.items():
        after[numbers[state], list(row)] = [numbers[each] for each in row.values()]
    ended = np.zeros(len(after), bool)
    ended[[numbers[each] for each in found.final]] = True
    reached = np.arange(len(after))
    for byte in SENTINEL.encode():
        reached = after[reached, byte]
    return ByteAutomaton(after[:, :BYTES], ended[reached])


class TokenGraph(NamedTuple):
    """Where tokens lead, `[edges]`, sorted by the node that they begin at, and then by token.

    `keys: [edges + 1]` are `node * BASE + token`, and a last one that is none. `edges_of: [nodes,
    2]` has the first edge of a node and how many it has; `lacking: [nodes]` is how many tokens
    lead from it to a final node. The first node is 0; the last one is for paths that left the
    graph. Being a State, it goes to a device by `map_state`.
    """

    keys: Tensor
    tokens: Tensor
    leads: Tensor
    edges_of: Tensor
    lacking: Tensor

    @classmethod
    def of(cls, begins: Ints, tokens: Ints, leads: Ints, final: NDArray[np.bool_]) -> TokenGraph:
        """The graph of those edges that may lead to a final node: `final: [nodes]`."""
        lacking = np.where(final, 0, NEVER)
        steps = np.unique(begins * len(final) + leads)  # many tokens lead the same way
        here, there = steps // max(len(final), 1), steps % max(len(final), 1)
        distance = 0
        while len(reached := here[(lacking[there] == distance) & (lacking[here] == NEVER)]):
            distance += 1
            lacking[reached] = distance
        kept = lacking[leads] < NEVER
        begins, tokens, leads = begins[kept], tokens[kept], leads[kept]
        order = np.argsort(begins * BASE + tokens)
        begins, tokens, leads = begins[order], tokens[order], leads[order]
        first = np.searchsorted(begins, np.arange(len(final) + 2))
        arrays = (
            np.append(begins * BASE + tokens, np.iinfo(np.int64).max),
            *(tokens, leads),
            np.stack([first[:-1], np.diff(first)], axis=1),
            np.append(lacking, NEVER),
        )
        return cls(*map(torch.from_numpy, arrays))

    def without(self, banned: Sequence[int]) -> TokenGraph:
        """The same without the tokens that are `banned`."""
        kept = ~np.isin(self.tokens.numpy(), banned)
        if kept.all():
            return self
        begins = self.keys.numpy()[:-1] // BASE
        tokens, leads = self.tokens.numpy()[kept], self.leads.numpy()[kept]
        return TokenGraph.of(begins[kept], tokens, leads, self.lacking.numpy()[:-1] == 0)

    def follow(self, nodes: Tensor, tokens: Tensor) -> Tensor:
        """Where `tokens: [rows]` lead from `nodes: [rows]`."""
        wanted = nodes * BASE + tokens
        found = torch.searchsorted(self.keys, wanted)
        hit = self.keys[found] == wanted
        lost = len(self.lacking) - 1
        return torch.where(hit, torch.cat([self.leads, self.leads.new_tensor([lost])])[found], lost)

    def edges(self, nodes: Tensor) -> tuple[Tensor, Tensor]:
        """All edges of `nodes: [rows]`: which row each belongs to, and its number."""
        return in_ranges(self.edges_of[nodes])

    def exactly(self, most: int) -> Tensor:
        """From which nodes exactly 0, 1, ..., `most` tokens lead to a final one: `[lengths,
        nodes]`. The lengths end early where only the last one would come again."""
        begins = self.keys[:-1] // BASE
        found = [self.lacking == 0]
        for _ in range(most):
            able = torch.zeros_like(found[-1])
            able[begins[found[-1][self.leads]]] = True
            if torch.equal(able, found[-1]):
                break
            found.append(able)
        return torch.stack(found)


def token_graph(automaton: ByteAutomaton, contents: Contents) -> TokenGraph:
    """The automaton by tokens. A node is a state, and whether a text begins there or goes on.
    Raises ValueError if it has too many edges."""
    spelled = [_Spelled.of(each) for each in (contents.first, contents.later)]
    breaks = np.isin(np.arange(len(contents.first)), list(contents.breaks))
    found: list[tuple[Ints, Ints, Ints]] = []
    fresh = np.array([2])  # state 1, where a text begins
    numbers = np.zeros(2 * len(automaton.after), np.int64)  # from 1, of the nodes that are known
    nodes: list[Ints] = []
    count = edges = 0
    while len(fresh):
        numbers[fresh] = np.arange(count, count + len(fresh)) + 1
        nodes.append(fresh)
        count += len(fresh)
        came = []
        for goes_on, each in enumerate(spelled):
            states = fresh[fresh % 2 == goes_on] // 2
            for part in np.array_split(states, 1 + len(states) * len(each.lengths) // PAIRS):
                places, tokens, reached = each.walk(automaton.after, part)
                leads = 2 * reached + ~breaks[tokens]
                found.append((2 * part[places] + goes_on, tokens, leads))
                edges += len(tokens)
                if edges > MOST_EDGES:
                    raise ValueError(
                        f"allows {MOST_EDGES:,} tokens and more, summed over its places; {SMALLER}"
                    )
                came.append(leads[numbers[leads] == 0])
        fresh = np.unique(np.concatenate(came))
    begins, tokens, leads = (np.concatenate(each) for each in zip(*found, strict=True))
    final = automaton.final[np.concatenate(nodes) // 2]
    return TokenGraph.of(numbers[begins] - 1, tokens, numbers[leads] - 1, final)


class _Spelled(NamedTuple):
    """The bytes of each token that adds some: `[tokens, longest]`, and how many there are."""

    ids: Ints
    content: NDArray[np.uint8]
    lengths: Ints

    @classmethod
    def of(cls, contents: Sequence[bytes]) -> _Spelled:
        ids = np.array([i for i, each in enumerate(contents) if each and i != UNK], np.int64)
        lengths = np.array([len(contents[i]) for i in ids], np.int64)
        longest = int(lengths.max(initial=1))
        filled = b"".join(contents[i].ljust(longest, b"\0") for i in ids)
        return cls(ids, np.frombuffer(filled, np.uint8).reshape(-1, longest), lengths)

    def walk(self, after: Ints, states: Ints) -> tuple[Ints, Ints, Ints]:
        """Of each of `states` and each token that leads on from there: the place of the state, the
        token, and where it leads."""
        reached = after[states][:, self.content[:, 0]]
        places, rows = reached.nonzero()
        reached = reached[places, rows]
        for column in range(1, self.content.shape[1]):
            more = self.lengths[rows] > column
            reached[more] = after[reached[more], self.content[rows[more], column]]
            kept = reached > 0
            places, rows, reached = places[kept], rows[kept], reached[kept]
        return places, self.ids[rows], reached


@constraints.register("pattern")
@dataclass
class Pattern(Constraint):
    """A text matches `regex` from its beginning to its end; the scores of possible tokens stay.

    The syntax is that of Rust's `regex`, as outlines-core reads it (extra `structured`): without
    anchors, look-around and backreferences. What counts is the text that the tokens make: the
    prompt, and a space between it and them, are no part of it. End tokens are possible exactly
    where the text matches; without one, all tokens up to the maximum length match together. A token
    from which no match can be reached in time is impossible, and so is <unk>.
    """

    regex: str
    _: KW_ONLY
    contents: Callable[[], Contents | None]

    def __post_init__(self) -> None:
        contents = self.contents()
        if contents is None:
            raise ValueError("this tokenizer does not say what its tokens add to a text")
        used = {*chain.from_iterable([*contents.first, *contents.later])}
        automaton = byte_automaton(self.regex, used)
        try:
            self.graph = token_graph(automaton, contents)
        except ValueError as error:
            raise ValueError(f"`regex` {shown(self.regex)} {error}") from None
        if self.least_tokens(None) == NEVER:
            name = shown(self.regex)
            raise ValueError(f"no output of this tokenizer can match the `regex` {name}")

    def wrap(self, stepper: Stepper, start: Start, limits: Limits, batch: Any) -> Wrapped:
        """The memory is where each row is in the graph (-1 before the first step), and how many
        tokens it may have."""
        device, ends, room = start.tokens.device, list(limits.ends), limits.lengths(start)
        graph = map_state(lambda each: each.to(device), self.graph.without(ends))
        longest = int(room.amax()) if len(room) else 0
        exactly = None if ends else graph.exactly(longest)
        reachable = graph.lacking[graph.lacking < NEVER]
        farthest = int(reachable.max()) if exactly is None else len(exactly) - 1

        def change(
            log_probs: Tensor, tokens: Tensor, before: Tensor, left: Tensor
        ) -> tuple[Tensor, ...]:
            nodes = torch.where(before < 0, 0, graph.follow(before.clamp(min=0), tokens))
            # Many rows are at one node, with more room than they can need.
            spare = (left - 1).clamp(0, farthest)
            distinct, own = torch.unique(nodes * (farthest + 1) + spare, return_inverse=True)
            here, spare = distinct // (farthest + 1), distinct % (farthest + 1)
            rows, edges = graph.edges(here)
            after, spare = graph.leads[edges], spare[rows]
            fits = graph.lacking[after] <= spare if exactly is None else exactly[spare, after]
            banned = torch.ones(len(here), log_probs.shape[1], dtype=torch.bool, device=device)
            banned[rows[fits], graph.tokens[edges[fits]]] = False
            banned[:, ends] = (graph.lacking[here] > 0).unsqueeze(1)
            return log_probs.masked_fill(banned[own], IMPOSSIBLE), nodes, left - 1

        return intercept(stepper, start, change, torch.full_like(start.tokens, -1), room)

    def least_tokens(self, batch: Any) -> int:
        """Those of the shortest text that matches."""
        return int(self.graph.lacking[0])
