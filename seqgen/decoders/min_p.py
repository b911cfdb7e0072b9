"""The decoder `min_p`: tokens drawn from those not far below the most probable one."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from seqgen.decoders.base import decoders
from seqgen.decoders.sampling import DROPPED, ROUNDING, Sampler
from seqgen.options import Temperature


@decoders.register("min_p")
class MinP(Sampler):
    """Draw from tokens that have at least `p` times the probability of the best one.

    By Nguyen et al. (2024): the surer the model is, the fewer tokens stay. 0 is
    `multinomial`, 1 is greedy (but for equals, among which it draws). A token that reaches the
    threshold within rounding (a millionth of it) stays: 0.5 of (0.6, 0.3, 0.1) leaves two.
    """

    def __init__(
        self,
        p: Annotated[float, Field(ge=0, le=1)] = 0.1,
        seed: int = 0,
        temperature: Temperature = 1.0,
    ) -> None:
        super().__init__(seed, temperature)
        if not 0 <= p <= 1:
            raise ValueError(f"`p` must be from 0 to 1, but is {p}")
        self.p = p

    def truncate(self, log_probs: Tensor) -> Tensor:
        """Those of each row that reach the threshold, `log p` below its maximum."""
        below = torch.tensor(self.p, dtype=log_probs.dtype).log().to(log_probs.device)
        threshold = log_probs.amax(1, keepdim=True) + below
        return log_probs.masked_fill(log_probs < threshold - ROUNDING, DROPPED)
