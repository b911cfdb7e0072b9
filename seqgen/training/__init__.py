"""Training: the loop, what it writes, and its parts (optimizers, schedules, averages)."""

from seqgen.training.checkpoint import (
    STATE,
    TENSORS,
    WEIGHTS,
    Checkpoints,
    kind_in_checkpoints,
    load_state,
    load_weights,
)
from seqgen.training.distributed import ALONE, Processes, joined
from seqgen.training.log import Event, MetricsLog, Signals, cut_back, read_events
from seqgen.training.loop import Outcome, Sink, Trainer, Validation
from seqgen.training.optimization import (
    Average,
    Schedule,
    TrainOptions,
    averages,
    optimizers,
    schedules,
)

__all__ = ["Average", "Schedule", "averages", "optimizers", "schedules"]

Fit = Trainer  # the name that programs may know it by
