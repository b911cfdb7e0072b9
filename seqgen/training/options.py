"""The options of training, the recipe's section `train`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch.optim import AdamW

from seqgen.machine import Precision
from seqgen.options import Count, PositiveFloat, Steps
from seqgen.training.averages import AverageFactory, NoAverage
from seqgen.training.optimizers import OptimizerFactory
from seqgen.training.schedules import Cosine, ScheduleFactory


@dataclass(frozen=True)
class TrainOptions:
    """How to train.

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
    """What becomes of a batch whose loss or gradient is not finite; neither ever reaches weights,
    optimizer or average. `skip` leaves the batch out, and `rollback` goes back to the weights and
    the optimizer of the best checkpoint besides, and on with the next batches. The batch counts as
    a step of the budget, and a carried state begins anew."""
    max_divergences: Count = 10
    """With `skip` and `rollback`: more than so many of them in all stop the run."""
    precision: Precision = "float32"
    """Of the forward pass, by autocast; weights and optimizer stay in float32."""

    def __post_init__(self) -> None:
        if self.max_steps is None and self.max_epochs is None and self.max_seconds is None:
            raise ValueError("`max_steps`, `max_epochs` or `max_seconds` must say when to stop")
