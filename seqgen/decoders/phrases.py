"""Lists of texts as constraints: only these may be generated (`allowed`), or none (`forbid`).

Many texts are one tree of tokens in arrays (a trie), in which all rows take a step at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from seqgen.decoders.base import Constraint, Limits, Start, Stepper, Wrapped, constraints
from seqgen.decoders.guards import IMPOSSIBLE, intercept, read_ahead
from seqgen.decoders.history import Bonus, Past, PastConstraint, check_known, with_bonus
from seqgen.errors import DataError
from seqgen.files import display_path, read_bytes
from seqgen.state import State, map_state

ROOT = 0

BASE = 1 << 24
"""More than there are tokens in any vocabulary."""

FILE_LIMIT = 1 << 28
"""Bytes at most of a file of texts: 256 MiB."""


class TextTree(NamedTuple):
    """Beginnings of token sequences, `[nodes]` each; node 0 is the empty one.

    Nodes are numbered level by level, those of a level by parent and token. So the children of a
    node have numbers in a row, and `children_of: [nodes, 2]` has the first one's and how many there
    are. `keys: [nodes + 1]`, which are `parent * BASE + token` and a last one that is none, rise
    from node to node: a look-up is a binary search. `whole` says where a sequence ends, `lacking`
    how many tokens lead to the next such node. Being a State, it goes to a device by `map_state`.
    """

    keys: Tensor
    tokens: Tensor
    children_of: Tensor
    whole: Tensor
    lacking: Tensor

    def child(self, nodes: Tensor, tokens: Tensor) -> Tensor:
        """Where `tokens: [rows]` lead from `nodes: [rows]`; ROOT where there is no such node."""
        wanted = nodes * BASE + tokens
        found = torch.searchsorted(self.keys, wanted)
        return found * (self.keys[found] == wanted)

    def children(self, nodes: Tensor) -> tuple[Tensor, Tensor]:
        """All children of `nodes: [rows]`: which row each belongs to, and its number."""
        return in_ranges(self.children_of[nodes])


def in_ranges(ranges: Tensor) -> tuple[Tensor, Tensor]:
    """The numbers in each of `ranges: [rows, 2]`, a first number and how many: of (5, 2), (0, 0)
    and (3, 1) they are 5, 6 and 3. Returns which row each number belongs to, and the number."""
    begin, counts = ranges.unbind(1)
    rows = torch.repeat_interleave(counts)
    before = counts.cumsum(0) - counts
    return rows, torch.arange(len(rows), device=ranges.device) + (begin - before)[rows]


def tree_of(sequences: Sequence[Sequence[int]]) -> TextTree:
    """The tree of token sequences, a level at a time: its cost is that of sorting all tokens."""
    lengths = np.fromiter(map(len, sequences), np.int64, len(sequences))
    flat = np.fromiter(chain.from_iterable(sequences), np.int64, int(lengths.sum()))
    starts = lengths.cumsum() - lengths
    nodes = np.zeros(len(sequences), np.int64)  # where each sequence has got to
    levels, count = [np.full(1, -1, np.int64)], 1
    active = np.arange(len(sequences))
    for depth in range(int(lengths.max(initial=0))):
        active = active[lengths[active] > depth]
        keys, places = np.unique(
            nodes[active] * BASE + flat[starts[active] + depth], return_inverse=True
        )
        nodes[active] = count + places
        levels.append(keys)
        count += len(keys)
    keys = np.concatenate(levels)
    parents = keys // BASE
    whole = np.zeros(count, bool)
    whole[nodes] = True
    lacking = np.where(whole, 0, np.iinfo(np.int64).max // 2)
    ends = np.cumsum([len(level) for level in levels])
    for begin, end in zip(ends[-2::-1], ends[:0:-1], strict=True):  # the last level first
        np.minimum.at(lacking, parents[begin:end], lacking[begin:end] + 1)
    first = np.searchsorted(parents, np.arange(count + 1))
    children_of = np.stack([first[:-1], np.diff(first)], axis=1)
    ended = np.append(keys, np.iinfo(np.int64).max)
    arrays = (ended, keys % BASE, children_of, whole, lacking)
    return TextTree(*map(torch.from_numpy, arrays))


def tokens_of(text: str, encode: Callable[[str], list[int]]) -> list[int]:
    """Those of one of the option `texts`. Raises ValueError if it has none."""
    if not (tokens := encode(text)):
        raise ValueError(f"`texts` must have tokens, but {text!r} has none")
    return tokens


def texts_and_file(texts: Sequence[str], file: Path | None) -> list[str]:
    """`texts`, and those of `file`: UTF-8, one in each line, empty lines left out.

    Raises DataError if the file cannot be read.
    """
    if file is None:
        return [*texts]
    content = read_bytes(file, DataError, limit=FILE_LIMIT, wanted="a text in each line")
    try:
        text = content.decode().removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        place = f"{display_path(file)}:{line}"
        raise DataError(f"{place}: invalid UTF-8 at byte {error.start}; UTF-8 is needed") from None
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return [*texts, *filter(None, lines)]


@constraints.register("allowed")
@dataclass
class AllowedTexts(Constraint):
    """A sequence is one of `texts` and then ends; the scores of possible tokens stay the same.

    Without an end token, anything may follow a whole text. More texts may be in `file`, UTF-8, one
    in each line. Beginnings are kept in a trie over tokens, so a step costs about the same for many
    texts as for few. A text for which `max_length` has no room is left out.
    """

    texts: tuple[str, ...] = ()
    file: Path | None = None
    _: KW_ONLY
    vocab_size: int
    encode: Callable[[str], list[int]]

    def __post_init__(self) -> None:
        every = texts_and_file(self.texts, self.file)
        if not every:
            where = "`texts`" if self.file is None else f"`file` {self.file}"
            raise ValueError(f"{where} must have at least 1 text, but is empty")
        sequences = [self.encode(text) for text in every]
        for place, (text, tokens) in enumerate(zip(every, sequences, strict=True)):
            where = "`texts`" if place < len(self.texts) else f"`file` {self.file}:"
            check_known(tokens, self.vocab_size, f"{where} {text!r}")
        self.tree = tree_of(sequences)
        self.longest = max(map(len, sequences))

    def wrap(self, stepper: Stepper, start: Start, limits: Limits, batch: Any) -> Wrapped:
        """The memory is where each row is in the tree (-1 before the first step), and how many
        tokens it may have."""
        tree = map_state(lambda each: each.to(start.tokens.device), self.tree)
        # Two nodes more, for rows that are free to go on as they like and for those that left the
        # tree, which hold no path.
        free, lost = len(tree.tokens), len(tree.tokens) + 1
        tree = tree._replace(
            children_of=torch.cat([tree.children_of, tree.children_of.new_zeros(2, 2)]),
            whole=torch.cat([tree.whole, tree.whole.new_zeros(2)]),
        )
        ends, room = list(limits.ends), limits.lengths(start)
        there_is_room = bool((room >= self.longest).all())  # for each of the texts
        open_at_end = ends or slice(None)  # the tokens that may follow a whole text

        def change(
            log_probs: Tensor, tokens: Tensor, before: Tensor, left: Tensor
        ) -> tuple[Tensor, ...]:
            nodes = tree.child(before, tokens)  # from -1 to ROOT, as there is no such key
            nodes = nodes.masked_fill((nodes == ROOT) & (before >= ROOT), lost)
            if not ends:
                nodes = nodes.masked_fill(tree.whole[nodes] | (before == free), free)
            rows, children = tree.children(nodes)
            if not there_is_room:
                fitting = tree.lacking[children] < left[rows]
                rows, children = rows[fitting], children[fitting]
            allowed = torch.full_like(log_probs, IMPOSSIBLE)
            places = (rows, tree.tokens[children])
            allowed[places] = log_probs[places]
            over = (tree.whole[nodes] if ends else nodes == free).unsqueeze(1)
            given, kept = log_probs[:, open_at_end], allowed[:, open_at_end]
            allowed[:, open_at_end] = torch.where(over, given, kept)
            return allowed, nodes, left - 1

        return intercept(stepper, start, change, torch.full_like(start.tokens, -1), room)

    def least_tokens(self, batch: Any) -> int:
        """Those of the shortest text."""
        return int(self.tree.lacking[ROOT])


@dataclass
class AllowedByFunction(PastConstraint):
    """Only the tokens are possible that `function(generated tokens)` returns; None allows all.

    For programs: a function is no option of a recipe. It is called for each path at each step
    with a tuple; the scores of allowed tokens stay as they are. End tokens have to be among what
    it returns where the sequence may end.
    """

    function: Callable[[tuple[int, ...]], Iterable[int] | None]

    def change(self, log_probs: Tensor, past: Past, ends: Sequence[int]) -> Tensor:
        banned = torch.ones_like(log_probs, dtype=torch.bool)
        pairs = zip(past.generated.tolist(), past.lengths.tolist(), strict=True)
        for row, (tokens, length) in enumerate(pairs):
            found = self.function(tuple(tokens[:length]))
            banned[row, slice(None) if found is None else list(found)] = False
        return log_probs.masked_fill(banned, IMPOSSIBLE)


class WithoutTokens:
    """A stepper whose `tokens` have probability zero; the scores of the others stay as they are."""

    def __init__(self, stepper: Stepper, tokens: Sequence[int]) -> None:
        self.stepper = stepper
        self.tokens = list(tokens)
        self._mask: Tensor | None = None

    def step(self, tokens: Tensor, state: State, context: State) -> tuple[Tensor, State]:
        log_probs, state = self.stepper.step(tokens, state, context)
        return self._masked(log_probs), state

    def read_ahead(
        self, tokens: Tensor, state: State, context: State
    ) -> tuple[Tensor, list[State]]:
        log_probs, states = read_ahead(self.stepper, tokens, state, context)
        return self._masked(log_probs), states

    def _masked(self, log_probs: Tensor) -> Tensor:
        if self._mask is None:
            self._mask = log_probs.new_zeros(log_probs.shape[1])
            self._mask[self.tokens] = IMPOSSIBLE
        return log_probs + self._mask  # an addition is faster than a copy and a fill


@constraints.register("forbid")
@dataclass
class ForbiddenTexts(Constraint):
    """None of `texts` is generated: its last token is impossible after the others.

    More texts may be in `file`, UTF-8, one in each line. The other scores stay as they are. A text
    is what the tokenizer makes of it: where it can be cut into tokens in other ways, those stay
    possible. The prompt is not looked at.
    """

    texts: tuple[str, ...] = ()
    file: Path | None = None
    _: KW_ONLY
    encode: Callable[[str], list[int]]

    def __post_init__(self) -> None:
        every = texts_and_file(self.texts, self.file)
        banned = [tokens_of(text, self.encode) for text in every]
        self.automaton = _Automaton.of(tree_of(banned)) if banned else None

    def wrap(self, stepper: Stepper, start: Start, limits: Limits, batch: Any) -> Wrapped:
        """The memory is the longest beginning of a text with which each row ends (-1 before the
        first step)."""
        if self.automaton is None:
            return stepper, start
        automaton = map_state(lambda each: each.to(start.tokens.device), self.automaton)
        always = automaton.tree.tokens[automaton.of_one_token]

        def change(log_probs: Tensor, tokens: Tensor, nodes: Tensor) -> tuple[Tensor, Tensor]:
            nodes = automaton.read(nodes, tokens)
            banned = torch.zeros_like(log_probs, dtype=torch.bool)
            for rows, last in automaton.completing(nodes):
                banned[rows, automaton.tree.tokens[last]] = True
            banned[:, always] = True
            return log_probs.masked_fill(banned, IMPOSSIBLE), nodes

        return intercept(stepper, start, change, torch.full_like(start.tokens, -1))


@constraints.register("sequence_bias")
@dataclass
class SequenceBias(Constraint):
    """`log p(token) + b` for a token that completes a text which has the bias `b`.

    `texts` are words or other strings with their biases, `tokens` single ids with theirs; of all
    that a token completes, the biases add up. Where the probabilities would then sum to more than 1
    they are normalised. A text is what the tokenizer makes of it. The prompt is not looked at.
    """

    texts: Mapping[str, Bonus] | None = None
    tokens: Mapping[str, Bonus] | None = None
    _: KW_ONLY
    vocab_size: int
    encode: Callable[[str], list[int]]

    def __post_init__(self) -> None:
        super().__post_init__()
        biases: dict[tuple[int, ...], float] = {}
        for text, bias in (self.texts or {}).items():
            sequence = tuple(tokens_of(text, self.encode))
            check_known(sequence, self.vocab_size, f"`texts` {text!r}")
            biases[sequence] = biases.get(sequence, 0.0) + bias
        for key, bias in (self.tokens or {}).items():
            if not str(key).isdecimal():
                raise ValueError(f"`tokens` must have token ids as keys, but has {key!r}")
            check_known([int(key)], self.vocab_size, "`tokens`")
            biases[int(key),] = biases.get((int(key),), 0.0) + bias
        self.automaton = automaton = _Automaton.of(tree_of([*biases]))
        self.biases = torch.zeros(len(automaton.shorter))
        for sequence, bias in biases.items():
            node = torch.tensor([ROOT])
            for token in sequence:
                node = automaton.tree.child(node, torch.tensor([token]))
            self.biases[node] = bias

    def wrap(self, stepper: Stepper, start: Start, limits: Limits, batch: Any) -> Wrapped:
        """The memory is the longest beginning of a text with which each row ends (-1 before the
        first step)."""
        if len(self.biases) == 1:  # the root alone
            return stepper, start
        automaton, biases = map_state(
            lambda each: each.to(start.tokens.device), (self.automaton, self.biases)
        )
        tokens_of, single = automaton.tree.tokens, automaton.of_one_token

        def change(log_probs: Tensor, tokens: Tensor, nodes: Tensor) -> tuple[Tensor, Tensor]:
            nodes = automaton.read(nodes, tokens)
            bonus = torch.zeros_like(log_probs)
            bonus[:, tokens_of[single]] = biases[single].to(bonus.dtype)
            for rows, last in automaton.completing(nodes):
                bonus[rows, tokens_of[last]] += biases[last].to(bonus.dtype)
            return with_bonus(log_probs, bonus), nodes

        return intercept(stepper, start, change, torch.full_like(start.tokens, -1))


class _Automaton(NamedTuple):
    """The automaton of Aho and Corasick 1975 over the tree of all texts.

    Of each node `shorter: [nodes]` is the longest other node with which what it stands for ends,
    and `banning` the first one along these, the node itself included, in which a text lacks but
    one token; ROOT where there is none, or only that one.
    """

    tree: TextTree
    shorter: Tensor
    banning: Tensor

    @classmethod
    def of(cls, tree: TextTree) -> _Automaton:
        """From the root down, a level at a time."""
        count = len(tree.tokens)
        parents = torch.arange(count).repeat_interleave(tree.children_of[:, 1])  # but for the root
        almost = torch.zeros(count, dtype=torch.bool)
        almost[parents[tree.whole[1:]]] = True
        found = cls(
            tree, torch.zeros(count, dtype=torch.long), torch.zeros(count, dtype=torch.long)
        )
        begin = 1
        while begin < count:
            end = int(tree.children_of[begin, 0])  # where those of the next level begin
            level = torch.arange(begin, end)
            above = parents[begin - 1 : end - 1]
            there = found.follow(found.shorter[above], tree.tokens[begin:end])
            shorter = torch.where(above == ROOT, ROOT, there)
            found.shorter[begin:end] = shorter
            found.banning[begin:end] = torch.where(almost[level], level, found.banning[shorter])
            begin = end
        return found

    @property
    def of_one_token(self) -> Tensor:
        """The nodes of the texts that are one token."""
        children = self.tree.children(self.shorter[:1])[1]
        return children[self.tree.whole[children]]

    def read(self, nodes: Tensor, tokens: Tensor) -> Tensor:
        """As `follow`, but from -1, before the first step, to the root."""
        return torch.where(nodes < ROOT, ROOT, self.follow(nodes.clamp(min=ROOT), tokens))

    def follow(self, nodes: Tensor, tokens: Tensor) -> Tensor:
        """The longest beginning of a text with which `nodes: [rows]` and `tokens: [rows]` end."""
        found = self.tree.child(nodes, tokens)
        while bool((missing := (found == ROOT) & (nodes != ROOT)).any()):
            nodes = torch.where(missing, self.shorter[nodes], nodes)
            found = torch.where(missing, self.tree.child(nodes, tokens), found)
        return found

    def completing(self, nodes: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Which of `nodes: [rows]` lack one token of a text of several, and the nodes of these
        texts; no two of a row have the same token in one of the pairs."""
        here = self.banning[nodes]
        while len(some := here.nonzero().squeeze(1)):
            rows, children = self.tree.children(here[some])
            last = self.tree.whole[children]
            yield some[rows[last]], children[last]
            here = self.banning[self.shorter[here]]
