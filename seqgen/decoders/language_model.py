"""The constraint `language_model`: a second model has a say in each token (shallow fusion)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from seqgen.decoders.beside import Reader, read_along
from seqgen.decoders.constraint import Constraint, constraints
from seqgen.decoders.stepper import Limits, Start, Stepper
from seqgen.options import NonNegativeFloat


@constraints.register("language_model")
class LanguageModelFusion(Constraint):
    """`log p(token) + weight * log p_lm(token)`, where p_lm is the model of the directory `run`.

    Gulcehre et al. 2015. The sum is not normalised again. Both runs must have the same tokens.
    """

    def __init__(
        self, run: str, load: Callable[[str], Reader], weight: NonNegativeFloat = 0.3
    ) -> None:
        if not 0 <= weight < float("inf"):
            raise ValueError(f"`weight` must be at least 0 and finite, but is {weight}")
        self.run = run
        self.load = load
        self.weight = weight

    def wrap(
        self, stepper: Stepper, start: Start, limits: Limits, batch: Any
    ) -> tuple[Stepper, Start]:
        """The stepper with the second model beside it."""
        others = [self.load(self.run)] if self.weight else []  # 0 times -inf would be NaN
        return read_along((stepper, start), others, batch, self._combine)

    def _combine(self, log_probs: Tensor, others: list[Tensor]) -> Tensor:
        for other in others:
            log_probs = log_probs + self.weight * other
        return log_probs
