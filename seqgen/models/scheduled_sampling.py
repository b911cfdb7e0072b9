"""Scheduled sampling: how often a model in training reads its own tokens, not the true ones."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from seqgen.options import Share

STEEPNESS = 10.0
"""Of the curve `sigmoid`: it goes from 0.007 to 0.993 of its height."""


@dataclass(frozen=True)
class ScheduledSampling:
    """Reading the model's own tokens in training (Bengio et al. 2015), so that it learns to go on
    behind its own mistakes, which teacher forcing never shows it.

    At share p of the budget each token that the model reads is replaced, with the probability
    `rate * curve(p)`, by one that it draws itself at `temperature` (0: its first choice). The curve
    rises from `begin` to `end`, shares of the budget, and stays 1 from there on::

        s = (p - begin) / (end - begin), between 0 and 1
        constant 1      linear s      sigmoid 1 / (1 + exp(-10 (s - 1/2)))

    No gradient flows through what is drawn. Training then goes token by token.
    """

    rate: Share = 0.25
    curve: Literal["constant", "linear", "sigmoid"] = "linear"
    begin: Share = 0.0
    end: Share = 1.0
    temperature: float = 1.0

    def __post_init__(self) -> None:
        if self.end < self.begin:
            raise ValueError(f"`end` must be at least `begin` ({self.begin}), but is {self.end}")
        if not 0 <= self.temperature < math.inf:
            raise ValueError(f"`temperature` must be at least 0, but is {self.temperature}")

    def at(self, progress: float) -> float:
        """The rate at a share of the budget, 0 to 1."""
        width = self.end - self.begin
        share = (progress - self.begin) / width if width else float(progress >= self.begin)
        share = min(1.0, max(0.0, share))
        if self.curve == "constant":
            return self.rate if progress >= self.begin else 0.0
        if self.curve == "linear":
            return self.rate * share
        return self.rate / (1 + math.exp(-STEEPNESS * (share - 0.5)))


def mixed(tokens: Tensor, log_probs: Tensor, rate: float, temperature: float) -> Tensor:
    """`tokens: [rows]`, each replaced with the probability `rate` by one drawn from `log_probs:
    [rows, vocab]`, by torch's own random numbers."""
    if temperature:
        drawn = torch.multinomial((log_probs.float() / temperature).softmax(-1), 1).squeeze(1)
    else:
        drawn = log_probs.argmax(-1)
    own = torch.rand(tokens.shape, device=tokens.device) < rate
    return torch.where(own, drawn, tokens)
