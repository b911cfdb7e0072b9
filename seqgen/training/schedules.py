"""Schedules: the factor of the learning rate as training goes on."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Annotated

from pydantic import Field

from seqgen.options import NonNegativeFloat, Size
from seqgen.registry import Registry

schedules: Registry[Schedule] = Registry("schedule")

Fraction = Annotated[float, Field(ge=0, le=1)]


class Schedule(ABC):
    """A factor for the learning rate. What it must remember is plain data, saved with the run."""

    @abstractmethod
    def factor(self, progress: float) -> float:
        """The factor when the share `progress`, 0 to 1, of the budget is spent."""

    def observe(self, loss: float) -> None:  # noqa: B027  most schedules do not look
        """Take note of a validation loss."""

    def memory(self) -> dict[str, float]:
        """What `restore` needs to go on."""
        return {}

    def restore(self, memory: dict[str, float]) -> None:  # noqa: B027  most have nothing to restore
        """Go on from what `memory` returned."""


ScheduleFactory = Annotated[Callable[..., Schedule], schedules]


@schedules.register("constant")
class Constant(Schedule):
    """The learning rate stays as it is."""

    def factor(self, progress: float) -> float:
        """1."""
        return 1.0


@schedules.register("cosine")
class Cosine(Schedule):
    """Half a cosine from 1 down to `floor` over the budget, be it steps, epochs or seconds."""

    def __init__(self, floor: Fraction = 0.0) -> None:
        self.floor = floor

    def factor(self, progress: float) -> float:
        """`floor + (1 - floor) * (1 + cos(pi * progress)) / 2`."""
        return self.floor + (1 - self.floor) * (1 + math.cos(math.pi * min(progress, 1.0))) / 2


@schedules.register("linear")
class Linear(Schedule):
    """A straight line from 1 down to `floor` over the budget."""

    def __init__(self, floor: Fraction = 0.0) -> None:
        self.floor = floor

    def factor(self, progress: float) -> float:
        """`1 - (1 - floor) * progress`."""
        return 1 - (1 - self.floor) * min(progress, 1.0)


@schedules.register("plateau")
class Plateau(Schedule):
    """Multiply by `decay` whenever `patience` validations in a row bring no better loss."""

    def __init__(
        self,
        decay: Annotated[float, Field(gt=0, lt=1)] = 0.5,
        patience: Size = 1,
        threshold: NonNegativeFloat = 1e-4,
    ) -> None:
        self.decay = decay
        self.patience = patience
        self.threshold = threshold
        self._factor = 1.0
        self._best = math.inf
        self._waited = 0

    def factor(self, progress: float) -> float:
        """`decay` to the number of plateaus so far."""
        return self._factor

    def observe(self, loss: float) -> None:
        """Better by more than `threshold` resets the count; NaN never counts as better."""
        if loss < self._best - self.threshold:
            self._best, self._waited = loss, 0
            return
        self._waited += 1
        if self._waited >= self.patience:
            self._factor *= self.decay
            self._waited = 0

    def memory(self) -> dict[str, float]:
        """The factor, the best loss and the count."""
        return {"factor": self._factor, "best": self._best, "waited": self._waited}

    def restore(self, memory: dict[str, float]) -> None:
        """From `memory`."""
        self._factor, self._best = memory["factor"], memory["best"]
        self._waited = int(memory["waited"])
