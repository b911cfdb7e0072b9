"""The constraint `my_constraint`: a token rarely comes twice in a row."""

import math

import torch

from seqgen.decoders import PastConstraint, constraints
from seqgen.options import PositiveFloat


@constraints.register("my_constraint")
class MyConstraint(PastConstraint):
    """A token is `times` times less probable right after itself."""

    def __init__(self, times: PositiveFloat = 4.0) -> None:
        self.times = times

    def change(self, log_probs, past, ends):
        last = past.last(1)  # [rows, 1], -1 where nothing is generated yet
        here = torch.arange(log_probs.shape[1], device=last.device) == last
        return torch.where(here, log_probs - math.log(self.times), log_probs)
