"""The decoder `multinomial`: tokens drawn at random, after a temperature."""

from __future__ import annotations

import torch
from torch import Tensor

from seqgen.decoders.base import decoders
from seqgen.decoders.noise import uniform
from seqgen.decoders.path import PathDecoder
from seqgen.options import NonNegativeFloat


@decoders.register("multinomial")
class Multinomial(PathDecoder):
    """Draw from `p(token) ** (1 / temperature)`, normalised.

    1 is the model's own distribution, below 1 is bolder, above 1 wilder; 0 is greedy. Each
    sequence draws from its own stream, see `noise`.
    """

    def __init__(self, seed: int = 0, temperature: NonNegativeFloat = 1.0) -> None:
        if not 0 <= temperature < float("inf"):
            raise ValueError(f"`temperature` must be at least 0 and finite, but is {temperature}")
        self.seed = seed
        self.temperature = temperature

    def choose(self, log_probs: Tensor, numbers: Tensor, moment: int) -> Tensor:
        """The first token at which the cumulative probability exceeds a uniform number."""
        if self.temperature == 0:
            return log_probs.argmax(-1)
        cumulative = at_temperature(log_probs, self.temperature).exp().cumsum(-1)
        # Scaled by the last sum (1 but for rounding), the number falls before the last possible
        # token's end; `right` steps over tokens of probability zero.
        points = uniform(self.seed, numbers, moment) * cumulative[:, -1]
        return torch.searchsorted(cumulative, points.unsqueeze(1), right=True).squeeze(1)


def at_temperature(log_probs: Tensor, temperature: float) -> Tensor:
    """`log softmax(log_probs / temperature)` in float64, stable from 1e-4 to 100 and beyond."""
    best = log_probs.amax(-1, keepdim=True)  # taken off first: tiny temperatures cannot overflow
    return ((log_probs - best).double() / temperature).log_softmax(-1)
