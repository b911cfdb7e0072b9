"""The constraints `ensemble`, `language_model` and `guidance`: models that generate together."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import torch
from torch import Tensor

from seqgen.decoders.base import Constraint, Limits, Start, Stepper, Wrapped, constraints
from seqgen.decoders.guards import IMPOSSIBLE
from seqgen.options import NonNegativeFloat
from seqgen.state import State

Combine = Callable[[Tensor, list[Tensor]], Tensor]
"""From a stepper's scores and those of the others, each `[rows, vocab]`, the scores to search by.
All are log-probabilities; where the first one's are -inf, what is returned does not matter."""


class SecondaryModel(Protocol):
    """A model that can read a batch and take steps from there."""

    def start(self, batch: Any) -> Start:
        """The start of each source."""
        ...

    def step(self, tokens: Tensor, state: State, context: State) -> tuple[Tensor, State]:
        """As that of a Stepper."""
        ...


def combine_models(
    stepper: Stepper, start: Start, others: Sequence[SecondaryModel], batch: Any, combine: Combine
) -> Wrapped:
    """A stepper in which `others` read, too, and `combine` makes one score of all.

    Tokens that are impossible to the first stepper stay so.

    Raises ValueError if `batch` goes on from a state, which is of the first model alone.
    """
    if others and getattr(batch, "state", None) is not None:
        raise ValueError("`constraints`: models of other runs have not read the text of the state")
    starts = [other.start(batch) for other in others]
    # What each model reads first is its own; from the second step on, all read the same.
    states = tuple((each.tokens, each.state) for each in starts)
    joint = start._replace(
        state=(start.state, states),
        context=(start.context, tuple(each.context for each in starts)),
    )
    return _JointStepper(stepper, others, combine), joint


@dataclass(frozen=True)
class _JointStepper:
    """A stepper whose state and context have those of the others in them."""

    stepper: Stepper
    others: Sequence[SecondaryModel]
    combine: Combine

    def step(self, tokens: Tensor, state: Any, context: Any) -> tuple[Tensor, State]:
        inner, states = state
        own_context, contexts = context
        log_probs, inner = self.stepper.step(tokens, inner, own_context)
        scores, following = [], []
        for other, (first, before), theirs in zip(self.others, states, contexts, strict=True):
            score, after = other.step(torch.where(first < 0, tokens, first), before, theirs)
            scores.append(score)
            following.append((torch.full_like(first, -1), after))
        combined = self.combine(log_probs, scores)
        possible = log_probs != IMPOSSIBLE  # NaN stays NaN: the search must see it
        return torch.where(possible, combined, IMPOSSIBLE), (inner, tuple(following))


@constraints.register("ensemble")
@dataclass
class Ensemble(Constraint):
    """The run's own model and those of the run directories `runs`, averaged at each token.

    `average: mean` is `log sum_i w_i p_i(token)`, the mean of the probabilities; `product` is
    `sum_i w_i log p_i(token)`, their geometric mean, not normalised again. `weights` are one for
    the run's own model and then one for each of `runs`, scaled to the sum 1; without them all
    weigh the same. What is impossible to the run's own model stays so.
    """

    runs: tuple[str, ...]
    load: Callable[[str | None], SecondaryModel]
    weights: tuple[NonNegativeFloat, ...] = ()
    average: Literal["mean", "product"] = "mean"

    def __post_init__(self) -> None:
        super().__post_init__()
        models = 1 + len(self.runs)
        weights = tuple(self.weights) or (1.0,) * models
        if len(weights) != models:
            raise ValueError(
                f"`weights` must be {models}, the run's own and one for each of `runs`, "
                f"but are {len(weights)}"
            )
        total = sum(weights)
        if min(weights) < 0 or not 0 < total < float("inf"):
            raise ValueError(f"`weights` must be at least 0 and not all 0, but are {list(weights)}")
        self.weights = tuple(weight / total for weight in weights)

    def wrap(self, stepper: Stepper, start: Start, limits: Limits, batch: Any) -> Wrapped:
        others = [self.load(run) for run in self.runs]
        return combine_models(stepper, start, others, batch, self._combine)

    def _combine(self, log_probs: Tensor, others: list[Tensor]) -> Tensor:
        # Without those of weight 0: 0 times -inf would be NaN.
        pairs = zip(self.weights, [log_probs, *others], strict=True)
        weighted = [(weight, each) for weight, each in pairs if weight]
        if len(weighted) == 1:
            return weighted[0][1]
        if self.average == "product":
            return torch.stack([weight * each for weight, each in weighted]).sum(0)
        return torch.stack([math.log(weight) + each for weight, each in weighted]).logsumexp(0)


@constraints.register("language_model")
@dataclass
class LanguageModelFusion(Constraint):
    """`log p(token) + weight * log p_lm(token)`, with p_lm the model of the run directory `run`.

    Shallow fusion (Gulcehre et al. 2015). The sum is not normalised again. Both runs must have the
    same tokens.
    """

    run: str
    load: Callable[[str | None], SecondaryModel]
    weight: NonNegativeFloat = 0.3

    def wrap(self, stepper: Stepper, start: Start, limits: Limits, batch: Any) -> Wrapped:
        def combine(log_probs: Tensor, others: list[Tensor]) -> Tensor:
            return sum((self.weight * other for other in others), log_probs)

        others = [self.load(self.run)] if self.weight else []  # 0 times -inf would be NaN
        return combine_models(stepper, start, others, batch, combine)


@constraints.register("guidance")
@dataclass
class Guidance(Constraint):
    """`log p0(token) + scale * (log p(token) - log p0(token))`, with p0 for an empty source.

    The result is normalised again. This is classifier-free guidance (Ho and Salimans 2022; for
    language models Sanchez et al. 2023): above 1, `scale` favours what the source makes more
    probable than it is anyway; at 1 it changes nothing, at 0 the source does not matter. The model
    takes two steps for each. It need not have read an empty source in training, but knows more of
    it then. What is impossible to the stepper stays so.
    """

    load: Callable[[str | None], SecondaryModel]
    scale: NonNegativeFloat = 1.5

    def wrap(self, stepper: Stepper, start: Start, limits: Limits, batch: Any) -> Wrapped:
        if self.scale == 1:
            return stepper, start

        def combine(log_probs: Tensor, others: list[Tensor]) -> Tensor:
            [alone] = others
            alone = torch.where(alone == IMPOSSIBLE, log_probs, alone)
            guided = alone + self.scale * (log_probs - alone)
            return torch.where(log_probs == IMPOSSIBLE, IMPOSSIBLE, guided).log_softmax(1)

        return combine_models(stepper, start, [self.load(None)], batch, combine)
