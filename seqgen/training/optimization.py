"""The options of training and its parts: optimizers, schedules, averages, and the budget."""

from __future__ import annotations

import inspect
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.optim import AdamW

from seqgen.machine import Precision
from seqgen.options import Count, NonNegativeFloat, PositiveFloat, Share, Size, Steps
from seqgen.registry import Registry, Renamed

Optimizer = torch.optim.Optimizer

optimizers: Registry[Optimizer] = Registry("optimizer", supplied={"params", "lr"})
"""Those of torch, by their names in lower case, with torch's own options. Supplied: the model's
parameters and `train.lr`."""

schedules: Registry[Schedule] = Registry("schedule")

averages: Registry[Average] = Registry("average", supplied={"weights"})
"""Supplied: the weights that are trained, which `update` reads after each step."""


_UNFIT = (Optimizer, torch.optim.LBFGS, torch.optim.SparseAdam)
"""The base; one that needs a closure in `step`, and one that needs sparse gradients."""

for _name, _kind in sorted(vars(torch.optim).items()):
    if inspect.isclass(_kind) and issubclass(_kind, Optimizer) and _kind not in _UNFIT:
        optimizers.register(_name.lower())(_kind)


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


Floor = Annotated[float, Field(ge=0, le=1)]


@schedules.register("constant")
class Constant(Schedule):
    """A constant learning rate."""

    def factor(self, progress: float) -> float:
        return 1.0


@schedules.register("cosine")
@dataclass(eq=False)
class Cosine(Schedule):
    """Half a cosine from 1 down to `floor` over the budget (steps, epochs or seconds)."""

    floor: Floor = 0.0

    def factor(self, progress: float) -> float:
        """`floor + (1 - floor) * (1 + cos(pi * progress)) / 2`."""
        return self.floor + (1 - self.floor) * (1 + math.cos(math.pi * min(progress, 1.0))) / 2


@schedules.register("linear")
@dataclass(eq=False)
class Linear(Schedule):
    """A straight line from 1 down to `floor` over the budget."""

    floor: Floor = 0.0

    def factor(self, progress: float) -> float:
        """`1 - (1 - floor) * progress`."""
        return 1 - (1 - self.floor) * min(progress, 1.0)


@schedules.register("plateau")
@dataclass(eq=False)
class Plateau(Schedule):
    """Multiply by `decay` whenever `patience` validations in a row do not improve the loss.

    Better is better by more than `threshold`; NaN never is.
    """

    decay: Annotated[float, Field(gt=0, lt=1)] = 0.5
    patience: Size = 1
    threshold: NonNegativeFloat = 1e-4

    def __post_init__(self) -> None:
        self._factor, self._best, self._waited = 1.0, math.inf, 0

    def factor(self, progress: float) -> float:
        """`decay` to the number of plateaus so far."""
        return self._factor

    def observe(self, loss: float) -> None:
        if loss < self._best - self.threshold:
            self._best, self._waited = loss, 0
            return
        self._waited += 1
        if self._waited >= self.patience:
            self._factor *= self.decay
            self._waited = 0

    def memory(self) -> dict[str, float]:
        return {"factor": self._factor, "best": self._best, "waited": self._waited}

    def restore(self, memory: dict[str, float]) -> None:
        self._factor, self._best = memory["factor"], memory["best"]
        self._waited = int(memory["waited"])


class Average(ABC):
    """What stands in the place of `weights` where a model is validated, saved and generated with.

    Training itself goes on with the weights as they are, which a checkpoint keeps for a resumed run
    and what `applied` puts in their place. Buffers are not averaged.
    """

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        Renamed.adopt(cls)

    def __init__(self, weights: Sequence[Tensor]) -> None:
        self.weights = list(weights)
        self.count = 0
        """The number of steps that the average has taken in, as a checkpoint stores it."""

    @abstractmethod
    def update(self, progress: float) -> None:
        """Take in a step; the share `progress` of the budget is spent, 0 to 1."""

    @abstractmethod
    def applied(self) -> AbstractContextManager[list[Tensor]]:
        """A context in which the average stands in the weights' place. Yields copies of those,
        which come back at its end, or none where nothing was put in their place."""

    def finalize(self) -> None:  # noqa: B027  where there is no average there is nothing to do
        """Training has ended: the average stays in the weights' place."""

    def restore(self, trained: Sequence[Tensor], count: int) -> None:
        """Go on from a checkpoint, whose weights are loaded; `trained` is what `applied` yielded
        when it was written."""
        self.count = count
        if trained:
            _copy(trained, self.weights)

    follow = Renamed("update")
    held = Renamed("applied")
    settle = Renamed("finalize")


@averages.register("none")
class NoAverage(Average):
    """No average: the weights as the last step left them."""

    def update(self, progress: float) -> None:
        pass

    def applied(self) -> AbstractContextManager[list[Tensor]]:
        return nullcontext([])


class Mean(Average, ABC):
    """A weighted mean over steps: a second copy of the model in memory."""

    def __init__(self, weights: Sequence[Tensor]) -> None:
        super().__init__(weights)
        self.means = [each.detach().clone() for each in self.weights]

    @abstractmethod
    def share(self, progress: float) -> float:
        """Count the step; how much of the mean its weights become, 0 to 1."""

    @torch.no_grad()
    def update(self, progress: float) -> None:
        """`mean + share (weights - mean)`."""
        torch._foreach_lerp_(self.means, self.weights, self.share(progress))

    @contextmanager
    def applied(self) -> Iterator[list[Tensor]]:
        trained = [each.detach().clone() for each in self.weights]
        _copy(self.means, self.weights)
        try:
            yield trained
        finally:
            _copy(trained, self.weights)

    def finalize(self) -> None:
        _copy(self.means, self.weights)

    def restore(self, trained: Sequence[Tensor], count: int) -> None:
        _copy(self.weights, self.means)  # what was loaded is the mean
        super().restore(trained, count)


@averages.register("exponential")
class Exponential(Mean):
    """An exponential moving average: after each step, decay * mean + (1 - decay) * weights.

    In the first steps d is n / (9 + n) at step n, where that is less, so that the untrained weights
    are soon forgotten (as in TensorFlow's ExponentialMovingAverage). A decay of 0.999 looks back
    about 1,000 steps.
    """

    def __init__(self, weights: Sequence[Tensor], decay: Share = 0.999) -> None:
        super().__init__(weights)
        self.decay = decay

    def share(self, progress: float) -> float:
        self.count += 1
        return 1 - min(self.decay, self.count / (9 + self.count))


@averages.register("tail")
class Tail(Mean):
    """The mean of the weights over all steps after the share `begin` of the budget.

    Until then it is the weights themselves (Polyak and Juditsky 1992; with a rate that stays up,
    Izmailov et al. 2018 and, for language models, the ASGD of Merity et al. 2018).
    """

    def __init__(self, weights: Sequence[Tensor], begin: Share = 0.5) -> None:
        super().__init__(weights)
        self.begin = begin

    def share(self, progress: float) -> float:
        self.count += progress >= self.begin
        return 1 / max(1, self.count)


@torch.no_grad()
def _copy(sources: Sequence[Tensor], targets: Sequence[Tensor]) -> None:
    for source, target in zip(sources, targets, strict=True):
        target.copy_(source)


OptimizerFactory = Annotated[Callable[..., Optimizer], optimizers]
ScheduleFactory = Annotated[Callable[..., Schedule], schedules]
AverageFactory = Annotated[Callable[..., Average], averages]


@dataclass(frozen=True)
class TrainOptions:
    """How to train, the recipe's section `train`.

    The budget is whatever of `max_steps`, `max_epochs` and `max_seconds` is spent first; the
    schedule follows the share of it that is spent. With `max_seconds` it follows the clock of
    training proper (validation excluded), so that systems can be compared at equal time.
    """

    lr: PositiveFloat = 2e-3
    optimizer: OptimizerFactory = AdamW
    schedule: ScheduleFactory = Cosine
    warmup_steps: Count = 0
    average: AverageFactory = NoAverage
    """Of the weights over the steps: what is validated, saved and generated with."""
    accumulate: Steps = 1
    """In how many parts each batch is read, one after the other, for less memory. Gradients are
    added up over the parts, so the update is that of the whole batch."""
    clip_norm: PositiveFloat | None = 1.0
    max_steps: Steps | None = None
    max_epochs: PositiveFloat | None = None
    max_seconds: PositiveFloat | None = None
    validations: Count = 10
    """Validate this often, evenly over the budget, if `validate_every` says nothing else."""
    validate_every: Steps | None = None
    patience: Steps | None = None
    """Stop when this many validations in a row bring no better loss."""
    log_every: Steps = 50
    on_divergence: Literal["stop", "skip", "rollback"] = "stop"
    """What happens to a batch whose loss or gradient is not finite; neither ever reaches weights,
    optimizer or average. `skip` leaves the batch out, and `rollback` goes back to the weights and
    the optimizer of the best checkpoint besides, and on with the next batches. The batch counts as
    a step of the budget, and a carried state begins anew."""
    max_divergences: Count = 10
    """With `skip` and `rollback`: more than so many of them in all stop the run."""
    precision: Precision = "float32"
    """Of the forward pass, by autocast; weights and optimizer stay in float32."""
    fast: Literal["auto", "never"] = "auto"
    """Whether cells read sequences by a route derived from their step; `auto` from 200 steps on,
    for to derive and to compile it takes some seconds. Values differ in the last bits."""

    def __post_init__(self) -> None:
        if self.max_steps is None and self.max_epochs is None and self.max_seconds is None:
            raise ValueError("`max_steps`, `max_epochs` or `max_seconds` must say when to stop")


@dataclass(frozen=True)
class Budget:
    """Steps, epochs and seconds, whichever is spent first; and when to validate."""

    options: TrainOptions
    steps_per_epoch: int

    def is_long(self) -> bool:
        """Whether it is worth some seconds to make each step faster: from 200 steps or 20 s on."""
        options = self.options
        limits = [
            options.max_steps is None or options.max_steps >= 200,
            options.max_epochs is None or options.max_epochs * self.steps_per_epoch >= 200,
            options.max_seconds is None or options.max_seconds >= 20,
        ]
        return all(limits)

    def progress(self, step: int, seconds: float) -> float:
        """The share that is spent after `step` steps and `seconds` of training, at most 1."""
        options = self.options
        shares = [0.0]
        if options.max_steps is not None:
            shares.append(step / options.max_steps)
        if options.max_epochs is not None:
            steps = min(options.max_epochs * self.steps_per_epoch, 2.0**53)
            shares.append(step / max(1, math.ceil(steps)))
        if options.max_seconds is not None:
            shares.append(seconds / options.max_seconds)
        return min(1.0, max(shares))

    def validation_due(self, step: int, before: float, after: float) -> bool:
        """Whether the step that moved the progress from `before` to `after` calls for validation.

        The end always does. 4 validations are due as the progress passes 1/4, 2/4, 3/4, 4/4.
        """
        if after >= 1:
            return True
        if self.options.validate_every is not None:
            return step % self.options.validate_every == 0
        # A little more than nothing is added, since 5/22 * 22 is less than 5 in floats.
        count = self.options.validations
        return math.floor(after * count + 1e-9) > math.floor(before * count + 1e-9)
