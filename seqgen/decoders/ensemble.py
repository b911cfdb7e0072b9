"""The constraint `ensemble`: several trained models generate as one."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor

from seqgen.decoders.beside import Reader, read_along
from seqgen.decoders.constraint import Constraint, constraints
from seqgen.decoders.stepper import Limits, Start, Stepper
from seqgen.options import NonNegativeFloat


@constraints.register("ensemble")
class Ensemble(Constraint):
    """The run's own model and those of the directories `runs`, averaged at each token.

    `average: mean` is `log sum_i w_i p_i(token)`, the mean of the probabilities; `product` is
    `sum_i w_i log p_i(token)`, their geometric mean, not normalised again. `weights` are one for
    the run's own model and then one for each of `runs`, scaled to the sum 1; without them all
    weigh the same. What is impossible to the run's own model stays so.
    """

    def __init__(
        self,
        runs: tuple[str, ...],
        load: Callable[[str], Reader],
        weights: tuple[NonNegativeFloat, ...] = (),
        average: Literal["mean", "product"] = "mean",
    ) -> None:
        self.runs = tuple(runs)
        self.load = load
        self.product = average == "product"
        given = tuple(weights) or (1.0,) * (1 + len(self.runs))
        if len(given) != 1 + len(self.runs):
            raise ValueError(
                f"`weights` must be {1 + len(self.runs)}, the run's own and one for each of "
                f"`runs`, but are {len(given)}"
            )
        total = sum(given)
        if min(given) < 0 or not 0 < total < float("inf"):
            raise ValueError(f"`weights` must be at least 0 and not all 0, but are {list(given)}")
        self.weights = [weight / total for weight in given]

    def wrap(
        self, stepper: Stepper, start: Start, limits: Limits, batch: Any
    ) -> tuple[Stepper, Start]:
        """The stepper with the other models beside it."""
        others = [self.load(run) for run in self.runs]
        return read_along((stepper, start), others, batch, self._combine)

    def _combine(self, log_probs: Tensor, others: list[Tensor]) -> Tensor:
        # Without those of weight 0: 0 times -inf would be NaN.
        pairs = zip(self.weights, [log_probs, *others], strict=True)
        weighed = [(weight, each) for weight, each in pairs if weight]
        if len(weighed) == 1:
            return weighed[0][1]
        if self.product:
            return torch.stack([weight * each for weight, each in weighed]).sum(0)
        return torch.stack([math.log(weight) + each for weight, each in weighed]).logsumexp(0)
