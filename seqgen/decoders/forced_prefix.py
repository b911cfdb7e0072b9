"""The constraint `forced_prefix`: how every sequence begins."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor

from seqgen.decoders.constraint import constraints
from seqgen.decoders.known import check_known
from seqgen.decoders.past import Past, PastConstraint


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
        lacking = len(self.tokens) - past.lengths
        if not bool((lacking > 0).any()):
            return log_probs
        tokens = past.lengths.new_tensor(self.tokens)
        turn = tokens[past.lengths.clamp(max=len(tokens) - 1)].unsqueeze(1)
        banned = (lacking > 0).unsqueeze(1).expand_as(log_probs)
        # The last token cannot make up for several, nor does a sequence go on behind its end.
        possible = ((lacking <= 1) | (past.left > 1)) & (not set(self.tokens[:-1]) & set(ends))
        banned = banned.scatter(1, turn, (banned.gather(1, turn) & ~possible.unsqueeze(1)))
        return log_probs.masked_fill(banned, float("-inf"))

    def least_tokens(self, batch: Any) -> int:
        """Those of the prefix."""
        return len(self.tokens)
