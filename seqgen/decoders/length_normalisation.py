"""Length normalisation: how sequences of different lengths compare."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, get_args

import torch
from pydantic import Field
from torch import Tensor

from seqgen.decoders.base import Hypothesis

Formula = Literal["none", "power", "gnmt"]

Alpha = Annotated[float, Field(ge=-10, le=10)]


@dataclass(frozen=True)
class LengthNormalisation:
    """`rank = score / divisor(length)`; scores are sums of log-probabilities, so they are negative.

    `none` divides by 1; `power` by `length ** alpha`, which for `alpha` 1 makes the rank the mean
    log-probability of a token; `gnmt` by `((5 + length) / 6) ** alpha` (Wu et al. 2016). `length`
    counts the generated tokens, an end token among them, in finished and unfinished sequences
    alike. Above 0 `alpha` favours long sequences, at 0 it changes nothing, below 0 short ones.
    """

    formula: Formula = "none"
    alpha: float = 1.0

    def __post_init__(self) -> None:
        formulas = get_args(Formula)
        if self.formula not in formulas:
            raise ValueError(
                f"`length_normalisation` must be one of {', '.join(formulas)}, "
                f"but is {self.formula!r}"
            )
        if not -10 <= self.alpha <= 10:
            raise ValueError(f"`alpha` must be from -10 to 10, but is {self.alpha}")

    def divisor(self, length: int) -> float:
        """What the score of a sequence of `length` tokens is divided by (of none as of one)."""
        if self.formula == "none":
            return 1.0
        base = max(length, 1) if self.formula == "power" else (5 + length) / 6
        return float(base**self.alpha)

    def ranked(self, hypothesis: Hypothesis) -> Hypothesis:
        """`hypothesis` with its rank, where there is another one than the score."""
        if self.formula == "none":
            return hypothesis
        length = len(hypothesis.tokens)
        return hypothesis._replace(rank=hypothesis.score / self.divisor(length))

    def bound(self, scores: Tensor, length: int, room: Tensor) -> Tensor:
        """The highest rank that a path may still come to, `[paths]`.

        It has `scores: [paths]` at `length` and grows by one token at least, to `room` tokens at
        most. Log-probabilities only make a score fall, so none is ranked above its present score at
        its best length; and the divisor rises with the length or falls with it, so that length is
        the next one or the last one.
        """
        last = scores.new_tensor([self.divisor(each) for each in room.tolist()])
        return torch.maximum(scores / self.divisor(length + 1), scores / last)
