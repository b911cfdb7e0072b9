"""The constraint `ensemble`: several trained models generate as one."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol

import torch
from torch import Tensor

from seqgen.decoders.base import Constraint, Limits, Start, Stepper, constraints
from seqgen.options import NonNegativeFloat
from seqgen.state import State

# Steppers in which other models read along, for constraints that combine several models.


Combine = Callable[[Tensor, list[Tensor]], Tensor]
"""From a stepper's scores and those of the others, each `[rows, vocab]`, the scores to search by.
All are log-probabilities; where the first one's are -inf, what is returned does not matter."""


class Reader(Protocol):
    """A model that can read a batch and take steps from there."""

    def start(self, batch: Any) -> Start:
        """The start of each source."""
        ...

    def step(self, tokens: Tensor, state: State, context: State) -> tuple[Tensor, State]:
        """As that of a Stepper."""
        ...


def read_along(
    begun: tuple[Stepper, Start],
    others: Sequence[Reader],
    batch: Any,
    combine: Combine,
) -> tuple[Stepper, Start]:
    """A stepper and a start in which `others` read, too, and `combine` makes one score of all.

    Tokens that are impossible to the first stepper stay so.
    """
    stepper, start = begun
    starts = [other.start(batch) for other in others]
    # What each model reads first is its own; from the second step on, all read the same.
    states = tuple((each.tokens, each.state) for each in starts)
    both = start._replace(
        state=(start.state, states),
        context=(start.context, tuple(each.context for each in starts)),
    )
    return _Beside(stepper, others, combine), both


class _Beside:
    """A stepper with readers beside it, whose states and contexts stand beside its own."""

    def __init__(self, stepper: Stepper, others: Sequence[Reader], combine: Combine) -> None:
        self.stepper = stepper
        self.others = others
        self.combine = combine

    def step(self, tokens: Tensor, state: Any, context: Any) -> tuple[Tensor, State]:
        """`tokens: [rows]` to `[rows, vocab]`."""
        inner, states = state
        own_context, contexts = context
        log_probs, inner = self.stepper.step(tokens, inner, own_context)
        scores, after = [], []
        for other, (first, before), theirs in zip(self.others, states, contexts, strict=True):
            score, behind = other.step(torch.where(first < 0, tokens, first), before, theirs)
            scores.append(score)
            after.append((torch.full_like(first, -1), behind))
        combined = self.combine(log_probs, scores)
        possible = log_probs != float("-inf")  # NaN stays NaN: the search must see it
        return torch.where(possible, combined, float("-inf")), (inner, tuple(after))


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


# The constraint `language_model`: a second model has a say in each token (shallow fusion).


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
