"""The constraint `AllowedBy`: a function says what may come next."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor

from seqgen.decoders.past import Past, PastConstraint


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
