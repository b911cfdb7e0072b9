"""Training: the loop, what it writes, and its parts (optimizers, schedules, averages)."""

from seqgen.training.loop import Fit, Outcome, Validation
from seqgen.training.optimization import TrainOptions, averages, optimizers, schedules

__all__ = ["Fit", "Outcome", "TrainOptions", "Validation", "averages", "optimizers", "schedules"]
