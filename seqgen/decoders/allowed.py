"""The constraint `allowed`: only the texts of a list can be generated."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from torch import Tensor

from seqgen.decoders.allowed_by import sequences
from seqgen.decoders.constraint import constraints
from seqgen.decoders.known import check_known
from seqgen.decoders.past import Past, PastConstraint, only


@dataclass
class _Node:
    """A beginning of texts: how it goes on, and whether it is a whole text."""

    children: dict[int, _Node] = field(default_factory=dict)
    whole: bool = False


@constraints.register("allowed")
class Allowed(PastConstraint):
    """A sequence is one of `texts`, and then it ends; the scores of what is possible stay.

    Without an end token, anything may follow a whole text. Beginnings are kept in a trie over
    tokens, so a step costs no more for many texts than for few.
    """

    def __init__(
        self, texts: tuple[str, ...], vocab_size: int, encode: Callable[[str], list[int]]
    ) -> None:
        if not texts:
            raise ValueError("`texts` must have at least 1 text, but is empty")
        self.root = _Node()
        for text in texts:
            tokens = encode(text)
            check_known(tokens, vocab_size, f"`texts` {text!r}")
            node = self.root
            for token in tokens:
                node = node.children.setdefault(token, _Node())
            node.whole = True

    def change(self, log_probs: Tensor, past: Past, ends: Sequence[int]) -> Tensor:
        """-inf at the tokens with which no text goes on, `[rows, vocab]`."""
        return only(log_probs, [self._next(tokens, ends) for tokens in sequences(past)])

    def _next(self, tokens: tuple[int, ...], ends: Sequence[int]) -> list[int] | None:
        """What may follow `tokens`; None for anything."""
        node = self.root
        for token in tokens:
            if node.whole and not ends and token not in node.children:
                return None
            # A token that was not allowed came for want of any other: from there on, only the end.
            node = node.children.get(token, _Node(whole=True))
        if node.whole and not ends:
            return None
        return [*node.children, *(ends if node.whole else ())]
