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
