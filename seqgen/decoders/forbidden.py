"""The constraint `forbid`: texts that never come."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from seqgen.decoders.constraint import Constraint, constraints
from seqgen.decoders.stepper import Limits, Start, Stepper
from seqgen.decoders.tries import ROOT, TextTree, texts_and_file, tree_of
from seqgen.state import State, map_state


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
