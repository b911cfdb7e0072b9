"""The budget of a training run: how much of it is spent, and when to validate."""

from __future__ import annotations

import math
from dataclasses import dataclass

from seqgen.training.options import TrainOptions


@dataclass(frozen=True)
class Budget:
    """Steps, epochs and seconds, whichever is spent first."""

    options: TrainOptions
    steps_per_epoch: int

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
        return self._validations_until(after) > self._validations_until(before)

    def _validations_until(self, progress: float) -> int:
        # A little more than nothing is added, since 5/22 * 22 is less than 5 in floats.
        return math.floor(progress * self.options.validations + 1e-9)
