"""The constraint `allowed`: only the texts of a list can be generated."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from seqgen.decoders.constraint import Constraint, constraints
from seqgen.decoders.known import check_known
from seqgen.decoders.stepper import Limits, Start, Stepper
from seqgen.decoders.tries import ROOT, TextTree, texts_and_file, tree_of
from seqgen.state import State, map_state


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
        for text in every:
            sequences.append(encode(text))
            check_known(sequences[-1], vocab_size, f"`texts` {text!r}")
        self.tree = tree_of(sequences)

    def wrap(
        self, stepper: Stepper, start: Start, limits: Limits, batch: Any
    ) -> tuple[Stepper, Start]:
        """The stepper and its start, whose state has beside it where each row is in the tree (-1
        before the first step), and how many tokens it may have."""
        tree = map_state(lambda each: each.to(start.tokens.device), self.tree)
        nodes = torch.full_like(start.tokens, -1)
        state = (start.state, nodes, limits.lengths(start))
        return _InTree(stepper, tree, limits.ends), start._replace(state=state)

    def least_tokens(self, batch: Any) -> int:
        """Those of the shortest text."""
        return int(self.tree.lacking[ROOT])


class _InTree:
    """A stepper whose rows go down a tree."""

    def __init__(self, stepper: Stepper, tree: TextTree, ends: tuple[int, ...]) -> None:
        self.stepper = stepper
        self.tree = tree
        self.ends = list(ends)
        # Two nodes more, for rows on which there is no bond any more and for those that left the
        # tree, which hold no path.
        self.free = len(tree.keys)
        self.lost = self.free + 1
        self.first = torch.cat([tree.first, tree.first[-1:], tree.first[-1:]])
        self.whole = torch.cat([tree.whole, tree.whole.new_zeros(2)])

    def step(self, tokens: Tensor, state: Any, context: State) -> tuple[Tensor, State]:
        """`tokens: [rows]` to `[rows, vocab]`, -inf at the tokens with which no text goes on."""
        inner, nodes, left = state
        log_probs, inner = self.stepper.step(tokens, inner, context)
        nodes = self._follow(nodes, tokens)
        rows, children = self.tree._replace(first=self.first).children(nodes)
        fitting = self.tree.lacking[children] < left[rows]
        allowed = (nodes == self.free).unsqueeze(1).repeat(1, log_probs.shape[1])
        allowed[rows[fitting], self.tree.tokens[children[fitting]]] = True
        allowed[:, self.ends] |= self.whole[nodes].unsqueeze(1)
        return log_probs.masked_fill(~allowed, float("-inf")), (inner, nodes, left - 1)

    def _follow(self, nodes: Tensor, tokens: Tensor) -> Tensor:
        """The nodes to which `tokens` lead."""
        found = self.tree.child(nodes.clamp(ROOT, self.free - 1), tokens)
        found = torch.where((found == ROOT) | (nodes == self.lost), self.lost, found)
        found = torch.where(nodes < ROOT, ROOT, found)
        if not self.ends:
            found = torch.where(self.whole[found] | (nodes == self.free), self.free, found)
        return found
