"""Averages: a mean of the weights along training, which stands for them wherever they are used."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Annotated

import torch
from torch import Tensor

from seqgen.options import Share
from seqgen.registry import Registry

averages: Registry[Average] = Registry("average", supplied={"weights"})
"""Supplied: the weights that are trained, which `follow` reads after each step."""


class Average(ABC):
    """What stands in the place of `weights` where a model is validated, saved and generated with.

    Training itself goes on with the weights as they are. A checkpoint holds what `held` puts in
    their place, and beside it, for a resumed run, the weights; buffers are not averaged.
    """

    def __init__(self, weights: Sequence[Tensor]) -> None:
        self.weights = list(weights)
        self.count = 0
        """Of the steps that the average has taken in, as a checkpoint stores it."""

    @abstractmethod
    def follow(self, progress: float) -> None:
        """Take in a step; the share `progress` of the budget is spent, 0 to 1."""

    @abstractmethod
    def held(self) -> AbstractContextManager[list[Tensor]]:
        """Where the average stands in the weights' place; gives copies of those, which come back.
        Gives none where nothing was put in their place."""

    def settle(self) -> None:  # noqa: B027  where there is no average there is nothing to do
        """Training has ended: the average stays in the weights' place."""

    def restore(self, trained: Sequence[Tensor], count: int) -> None:
        """Go on from a checkpoint: its weights were loaded, and `held` gave `trained` when it was
        written."""
        self.count = count
        if trained:
            _copy(trained, self.weights)


AverageFactory = Annotated[Callable[..., Average], averages]


@averages.register("none")
class NoAverage(Average):
    """The weights themselves, as the last step left them."""

    def follow(self, progress: float) -> None:
        """Nothing."""

    def held(self) -> AbstractContextManager[list[Tensor]]:
        """The weights stay where they are."""
        return nullcontext([])


class Mean(Average, ABC):
    """A weighted mean over steps, beside the weights: a second copy of the model in memory."""

    def __init__(self, weights: Sequence[Tensor]) -> None:
        super().__init__(weights)
        self.means = [each.detach().clone() for each in self.weights]

    @abstractmethod
    def share(self, progress: float) -> float:
        """Count the step; how much of the mean its weights become, 0 to 1."""

    @torch.no_grad()
    def follow(self, progress: float) -> None:
        """`mean + share (weights - mean)`."""
        torch._foreach_lerp_(self.means, self.weights, self.share(progress))

    @contextmanager
    def held(self) -> Iterator[list[Tensor]]:
        """Copied there and back."""
        trained = [each.detach().clone() for each in self.weights]
        _copy(self.means, self.weights)
        try:
            yield trained
        finally:
            _copy(trained, self.weights)

    def settle(self) -> None:
        """Copied once."""
        _copy(self.means, self.weights)

    def restore(self, trained: Sequence[Tensor], count: int) -> None:
        """What was loaded is the mean."""
        _copy(self.weights, self.means)
        super().restore(trained, count)


@averages.register("exponential")
class Exponential(Mean):
    """A moving average that forgets: after each step d mean + (1 - d) weights, `decay` being d.

    In the first steps d is n / (9 + n) at step n, where that is less, so that the untrained weights
    are soon forgotten (as in TensorFlow's ExponentialMovingAverage). A decay of 0.999 looks back
    about 1,000 steps.
    """

    def __init__(self, weights: Sequence[Tensor], decay: Share = 0.999) -> None:
        super().__init__(weights)
        self.decay = decay

    def share(self, progress: float) -> float:
        """1 - d."""
        self.count += 1
        return 1 - min(self.decay, self.count / (9 + self.count))


@averages.register("tail")
class Tail(Mean):
    """The plain mean of the weights since the share `begin` of the budget was spent.

    Until then it is the weights themselves (Polyak and Juditsky 1992; with a rate that stays up,
    Izmailov et al. 2018 and, for language models, the ASGD of Merity et al. 2018).
    """

    def __init__(self, weights: Sequence[Tensor], begin: Share = 0.5) -> None:
        super().__init__(weights)
        self.begin = begin

    def share(self, progress: float) -> float:
        """1 / n for the n-th step of the tail, and 1 before."""
        self.count += progress >= self.begin
        return 1 / max(1, self.count)


@torch.no_grad()
def _copy(sources: Sequence[Tensor], targets: Sequence[Tensor]) -> None:
    for source, target in zip(sources, targets, strict=True):
        target.copy_(source)
