"""Tries: many texts as one tree of tokens in arrays, in which all rows take a step at once.

`tree_of` builds one and `TextTree` is what it builds; `texts_and_file` reads the options of the
constraints that have one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from seqgen.decoders.base import Constraint, Limits, Start, Stepper, constraints
from seqgen.decoders.history import Past, PastConstraint, check_known
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
        begin, counts = self.children_of[nodes].unbind(1)
        rows = torch.repeat_interleave(counts)
        before = counts.cumsum(0) - counts
        return rows, torch.arange(len(rows), device=nodes.device) + (begin - before)[rows]


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


# The constraint `allowed`: only the texts of a list can be generated.


@constraints.register("allowed")
class Allowed(Constraint):
    """A sequence is one of `texts`, and then it ends; the scores of what is possible stay.

    Without an end token, anything may follow a whole text. More texts may be in `file`, UTF-8, one
    in each line. Beginnings are kept in a trie over tokens, so a step costs about the same for many
    texts as for few. A text for which `max_length` has no room is left out.
    """

    def __init__(
        self,
        texts: tuple[str, ...] = (),
        file: Path | None = None,
        *,
        vocab_size: int,
        encode: Callable[[str], list[int]],
    ) -> None:
        every = texts_and_file(texts, file)
        if not every:
            where = "`texts` must have" if file is None else f"`file` {file} must have"
            raise ValueError(f"{where} at least 1 text, but is empty")
        sequences = []
        for place, text in enumerate(every):
            sequences.append(encode(text))
            where = "`texts`" if place < len(texts) else f"`file` {file}:"
            check_known(sequences[-1], vocab_size, f"{where} {text!r}")
        self.tree = tree_of(sequences)
        self.longest = max(map(len, sequences))

    def wrap(
        self, stepper: Stepper, start: Start, limits: Limits, batch: Any
    ) -> tuple[Stepper, Start]:
        """The stepper and its start, whose state has beside it where each row is in the tree (-1
        before the first step), and how many tokens it may have."""
        tree = map_state(lambda each: each.to(start.tokens.device), self.tree)
        nodes, left = torch.full_like(start.tokens, -1), limits.lengths(start)
        there_is_room = bool((left >= self.longest).all())
        inner = _InTree(stepper, tree, limits.ends, there_is_room)
        return inner, start._replace(state=(start.state, nodes, left))

    def least_tokens(self, batch: Any) -> int:
        """Those of the shortest text."""
        return int(self.tree.lacking[ROOT])


class _InTree:
    """A stepper whose rows go down a tree."""

    def __init__(
        self, stepper: Stepper, tree: TextTree, ends: tuple[int, ...], there_is_room: bool
    ) -> None:
        self.stepper = stepper
        self.ends = list(ends)
        self.there_is_room = there_is_room  # for each of the texts
        # Two nodes more, for rows that are free to go on as they like and for those that left the
        # tree, which hold no path.
        self.free = len(tree.tokens)
        self.lost = self.free + 1
        self.tree = tree._replace(
            children_of=torch.cat([tree.children_of, tree.children_of.new_zeros(2, 2)]),
            whole=torch.cat([tree.whole, tree.whole.new_zeros(2)]),
        )

    def step(self, tokens: Tensor, state: Any, context: State) -> tuple[Tensor, State]:
        """`tokens: [rows]` to `[rows, vocab]`, -inf at the tokens with which no text goes on."""
        inner, nodes, left = state
        log_probs, inner = self.stepper.step(tokens, inner, context)
        nodes = self._follow(nodes, tokens)
        rows, children = self.tree.children(nodes)
        if not self.there_is_room:
            fitting = self.tree.lacking[children] < left[rows]
            rows, children = rows[fitting], children[fitting]
        places = (rows, self.tree.tokens[children])
        allowed = torch.full_like(log_probs, float("-inf"))
        allowed[places] = log_probs[places]
        if self.ends:
            over = self.tree.whole[nodes].unsqueeze(1)
            allowed[:, self.ends] = torch.where(
                over, log_probs[:, self.ends], allowed[:, self.ends]
            )
        else:
            allowed = torch.where((nodes == self.free).unsqueeze(1), log_probs, allowed)
        return allowed, (inner, nodes, left - 1)

    def _follow(self, nodes: Tensor, tokens: Tensor) -> Tensor:
        """The nodes to which `tokens` lead."""
        found = self.tree.child(nodes, tokens)  # from -1 to ROOT, as there is no such key
        found = found.masked_fill((found == ROOT) & (nodes >= ROOT), self.lost)
        if not self.ends:
            found = found.masked_fill(self.tree.whole[found] | (nodes == self.free), self.free)
        return found


# The constraint `AllowedBy`: a function says what may come next.


class AllowedBy(PastConstraint):
    """Only the tokens are possible that `function(generated tokens)` returns; None allows all.

    For programs: a function is no option of a recipe. It is called for each path at each step
    with a tuple; the scores of allowed tokens stay as they are. End tokens have to be among what
    it returns where the sequence may end.
    """

    def __init__(self, function: Callable[[tuple[int, ...]], Iterable[int] | None]) -> None:
        self.function = function

    def change(self, log_probs: Tensor, past: Past, ends: Sequence[int]) -> Tensor:
        """-inf at all that is not allowed, `[rows, vocab]`."""
        banned = torch.ones_like(log_probs, dtype=torch.bool)
        pairs = zip(past.generated.tolist(), past.lengths.tolist(), strict=True)
        for row, (tokens, length) in enumerate(pairs):
            found = self.function(tuple(tokens[:length]))
            banned[row, slice(None) if found is None else list(found)] = False
        return log_probs.masked_fill(banned, float("-inf"))


# The stepper `Forbid`: some tokens are never generated.


class Forbid:
    """A stepper whose `tokens` have probability zero; the scores of the others stay as they are."""

    def __init__(self, stepper: Stepper, tokens: Sequence[int]) -> None:
        self.stepper = stepper
        self.tokens = list(tokens)

    def step(self, tokens: Tensor, state: State, context: State) -> tuple[Tensor, State]:
        """`tokens: [rows]` to `[rows, vocab]`, -inf at the forbidden ones."""
        log_probs, state = self.stepper.step(tokens, state, context)
        log_probs = log_probs.clone()
        log_probs[:, self.tokens] = float("-inf")
        return log_probs, state


# The constraint `forbid`: texts that never come.


@constraints.register("forbid")
class Forbidden(Constraint):
    """None of `texts` ever comes: the last of its tokens is impossible where the others stand.

    More texts may be in `file`, UTF-8, one in each line. The other scores stay as they are. A text
    is what the tokenizer makes of it: where it can be cut into tokens in other ways, those stay
    possible. The prompt is not looked at.
    """

    def __init__(
        self,
        texts: tuple[str, ...] = (),
        file: Path | None = None,
        *,
        encode: Callable[[str], list[int]],
    ) -> None:
        every = texts_and_file(texts, file)
        banned = [encode(text) for text in every]
        for text, tokens in zip(every, banned, strict=True):
            if not tokens:
                raise ValueError(f"`texts` must have tokens, but {text!r} has none")
        self.automaton = _Automaton.of(tree_of(banned)) if banned else None

    def wrap(
        self, stepper: Stepper, start: Start, limits: Limits, batch: Any
    ) -> tuple[Stepper, Start]:
        """The stepper and its start, whose state has beside it the longest beginning of a text with
        which each row ends (-1 before the first step)."""
        if self.automaton is None:
            return stepper, start
        automaton = map_state(lambda each: each.to(start.tokens.device), self.automaton)
        nodes = torch.full_like(start.tokens, -1)
        return _Matching(stepper, automaton), start._replace(state=(start.state, nodes))


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

    def follow(self, nodes: Tensor, tokens: Tensor) -> Tensor:
        """The longest beginning of a text with which `nodes: [rows]` and `tokens: [rows]` end."""
        found = self.tree.child(nodes, tokens)
        while bool((missing := (found == ROOT) & (nodes != ROOT)).any()):
            nodes = torch.where(missing, self.shorter[nodes], nodes)
            found = torch.where(missing, self.tree.child(nodes, tokens), found)
        return found


class _Matching:
    """A stepper whose rows are matched with all texts at once."""

    def __init__(self, stepper: Stepper, automaton: _Automaton) -> None:
        self.stepper = stepper
        self.automaton = automaton
        children = automaton.tree.children(automaton.shorter[:1])[1]
        self.always = automaton.tree.tokens[children[automaton.tree.whole[children]]]

    def step(self, tokens: Tensor, state: Any, context: State) -> tuple[Tensor, State]:
        """`tokens: [rows]` to `[rows, vocab]`, -inf at the last token of each text whose other
        tokens are the last ones now."""
        inner, nodes = state
        log_probs, inner = self.stepper.step(tokens, inner, context)
        follow, tree = self.automaton.follow, self.automaton.tree
        nodes = torch.where(nodes < ROOT, ROOT, follow(nodes.clamp(min=ROOT), tokens))
        banned = torch.zeros_like(log_probs, dtype=torch.bool)
        banned[:, self.always] = True
        here = self.automaton.banning[nodes]
        while len(some := here.nonzero().squeeze(1)):
            rows, children = tree.children(here[some])
            last = tree.whole[children]
            banned[some[rows[last]], tree.tokens[children[last]]] = True
            here = self.automaton.banning[self.automaton.shorter[here]]
        return log_probs.masked_fill(banned, float("-inf")), (inner, nodes)
