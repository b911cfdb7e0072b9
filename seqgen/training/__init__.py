"""Training: the loop, what it writes, and its parts (optimizers, schedules, averages)."""

from seqgen.training.averages import averages
from seqgen.training.loop import Fit, Outcome, Validation
from seqgen.training.optimizers import optimizers
from seqgen.training.options import TrainOptions
from seqgen.training.schedules import schedules

__all__ = ["Fit", "Outcome", "TrainOptions", "Validation", "averages", "optimizers", "schedules"]
