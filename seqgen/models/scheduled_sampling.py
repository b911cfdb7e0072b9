"""Scheduled sampling: how often a model in training reads its own tokens, not the true ones."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from seqgen.decoders import at_temperature
from seqgen.options import Temperature

Fraction = Annotated[float, Field(ge=0, le=1)]

STEEPNESS = 10.0
"""Of the curve `sigmoid`: between `begin` and `end` it goes from 0.007 to 0.993 of its height."""


@dataclass(frozen=True)
class ScheduledSampling:
    """Reading the model's own tokens in training (Bengio et al. 2015), so that it learns to go on
    behind its own mistakes, which teacher forcing never shows it.

    At share p of the budget each token that the model reads is replaced, with the probability
    `rate * curve(p)`, by one that it draws itself at `temperature` (0: its first choice). The curve
    is 0 before `begin` and 1 from `end` on, both shares of the budget, and in between::

        s = (p - begin) / (end - begin)
        constant 1      linear s      sigmoid 1 / (1 + exp(-10 (s - 1/2)))

    No gradient flows through what is drawn. Where the rate is not 0, training goes token by token.
    """

    rate: Fraction = 0.25
    curve: Literal["constant", "linear", "sigmoid"] = "linear"
    begin: Fraction = 0.0
    end: Fraction = 1.0
    temperature: Temperature = 1.0

    def __post_init__(self) -> None:
        if self.end < self.begin:
            raise ValueError(f"`end` must be at least `begin` ({self.begin}), but is {self.end}")
        if not 0 <= self.temperature < math.inf:
            found = self.temperature
            raise ValueError(f"`temperature` must be at least 0 and finite, but is {found}")

    def at(self, progress: float) -> float:
        """The rate at a share of the budget, 0 to 1."""
        if progress < self.begin:
            return 0.0
        if progress >= self.end or self.curve == "constant":
            return self.rate
        share = (progress - self.begin) / (self.end - self.begin)
        if self.curve == "linear":
            return self.rate * share
        return self.rate / (1 + math.exp(-STEEPNESS * (share - 0.5)))


def mixed(tokens: Tensor, log_probs: Tensor, rate: float, temperature: float) -> Tensor:
    """`tokens: [rows]`, each replaced with the probability `rate` by one drawn from `log_probs:
    [rows, vocab]`, by torch's own random numbers. Log-probabilities of NaN give any token: that a
    model diverges, its loss will say."""
    drawn = _drawn(log_probs, temperature) if temperature else log_probs.argmax(-1)
    own = torch.rand(tokens.shape, device=tokens.device) < rate
    return torch.where(own, drawn, tokens)


def _drawn(log_probs: Tensor, temperature: float) -> Tensor:
    """`[rows]`: the first token at which the cumulative probability exceeds a uniform number."""
    cumulative = at_temperature(log_probs, temperature).exp().cumsum(-1)
    points = torch.rand_like(cumulative[:, -1:]) * cumulative[:, -1:]
    found = torch.searchsorted(cumulative, points, right=True).squeeze(1)
    return found.clamp(max=log_probs.shape[1] - 1)  # behind all of them stands what is NaN
