"""The contract of a sampler: a decoder that draws tokens at random, from some of them or from all.

To add one: subclass `Sampler` and say in `truncate` which tokens stay.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from seqgen.decoders.noise import uniform
from seqgen.decoders.path import PathDecoder

DROPPED = float("-inf")

ROUNDING = 2.0**-20
"""Probabilities that differ by no more than this share of them, 8 units in the last place of a
float32, are the same to a threshold: rounding must not decide whether a token reaches it."""

Mass = Annotated[float, Field(gt=0, le=1)]


class Sampler(PathDecoder, ABC):
    """Draw from `p(token) ** (1 / temperature)`, normalised over the tokens that `truncate` keeps.

    Temperature 1 is the model's own distribution, below 1 is bolder, above 1 wilder; 0 is greedy.
    The temperature comes first, the truncation sees its result. Each sequence draws from its own
    stream, see `noise`.
    """

    def __init__(self, seed: int, temperature: float) -> None:
        if not 0 <= temperature < float("inf"):
            raise ValueError(f"`temperature` must be at least 0 and finite, but is {temperature}")
        self.seed = seed
        self.temperature = temperature
        self.draws = temperature > 0

    @abstractmethod
    def truncate(self, log_probs: Tensor) -> Tensor:
        """`log_probs: [rows, vocab]` in float64, with DROPPED for the tokens that may not come.

        At least one that may has to stay. What a row keeps must not depend on the rows beside it.
        """

    def choose(self, log_probs: Tensor, numbers: Tensor, moment: int) -> Tensor:
        """The first token at which the cumulative probability exceeds a uniform number."""
        if self.temperature == 0:
            return log_probs.argmax(-1)
        kept = self.truncate(at_temperature(log_probs, self.temperature))
        cumulative = kept.exp().cumsum(-1)
        # Scaled by the last sum (all that was kept), the number falls before the last possible
        # token's end; `right` steps over tokens of probability zero.
        points = uniform(self.seed, numbers, moment) * cumulative[:, -1]
        return torch.searchsorted(cumulative, points.unsqueeze(1), right=True).squeeze(1)


def at_temperature(log_probs: Tensor, temperature: float) -> Tensor:
    """`log softmax(log_probs / temperature)` in float64, stable from 1e-4 to 100 and beyond."""
    best = log_probs.amax(-1, keepdim=True)  # taken off first: tiny temperatures cannot overflow
    return ((log_probs - best).double() / temperature).log_softmax(-1)


def keep_mass(log_probs: Tensor, order: Tensor, mass: float) -> Tensor:
    """`log_probs: [rows, vocab]`, cut to the first tokens in `order` that have `mass` together.

    `order: [rows, vocab]` holds ids. The token that reaches the mass, within ROUNDING, stays and is
    the last one, so one always does.
    """
    if mass == 1:  # said apart, since rounding could reach 1 before the last token
        return log_probs
    ordered = log_probs.gather(1, order)
    up_to_here = ordered.exp().cumsum(1)
    before = torch.cat([torch.zeros_like(up_to_here[:, :1]), up_to_here[:, :-1]], 1)
    cut = ordered.masked_fill(before >= mass * (1 - ROUNDING), DROPPED)
    return torch.empty_like(cut).scatter(1, order, cut)
