"""The constraint `forced_prefix`: how every sequence begins."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor

from seqgen.decoders.constraint import constraints
from seqgen.decoders.known import check_known
from seqgen.decoders.past import Past, PastConstraint, only


@constraints.register("forced_prefix")
class ForcedPrefix(PastConstraint):
    """The first tokens are those of `text`, or `tokens`; behind them the sequence is free.

    Unlike a prompt it is part of what is generated: its tokens count, and have the scores that
    the stepper gives them.
    """

    def __init__(
        self,
        vocab_size: int,
        encode: Callable[[str], list[int]],
        text: str = "",
        tokens: tuple[int, ...] = (),
    ) -> None:
        if text and tokens:
            raise ValueError("`text` and `tokens` are two ways to say one thing; give one of them")
        self.tokens = tuple(encode(text)) if text else tuple(tokens)
        check_known(self.tokens, vocab_size, f"`text` {text!r}" if text else "`tokens`")

    def change(self, log_probs: Tensor, past: Past, ends: Sequence[int]) -> Tensor:
        """-inf but at the token whose turn it is, `[rows, vocab]`."""
        lengths = past.lengths.tolist()
        if min(lengths, default=0) >= len(self.tokens):
            return log_probs
        return only(log_probs, [self.tokens[at : at + 1] or None for at in lengths])
