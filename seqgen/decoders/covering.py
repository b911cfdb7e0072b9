"""The constraint `coverage_penalty`: an output has looked at all of its source.

A model with attention notes in its state how much a path has looked at each token of the source.
It does so only where somebody asks for it, so that nothing is paid otherwise.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from seqgen.decoders.base import Constraint, Limits, Start, Stepper, Wrapped, constraints
from seqgen.errors import DecodeError
from seqgen.options import NonNegativeFloat
from seqgen.state import State

SMALLEST = torch.finfo(torch.float32).tiny
"""A token that was looked at less counts as one that was looked at as much."""


class Attended(NamedTuple):
    """A part of the state of a model with attention: the sums of its weights over the steps so far.

    `sums: [rows, source_time]`; before the first step `[rows, 1]`, and None where nobody asks.
    Padding counts as looked at.
    """

    sums: Tensor | None = None

    def after(self, weights: Tensor, mask: Tensor) -> Attended:
        """The sums after a step with `weights: [sources, k, source_time]`, where each source has k
        rows; `mask: [sources, source_time]` is true at real tokens."""
        if self.sums is None:
            return self
        return Attended(self.sums + weights.masked_fill(~mask.unsqueeze(1), 1).flatten(0, 1))


def attended(state: State) -> Tensor | None:
    """The sums of the first `Attended` in `state`, which is that of the innermost model."""
    if isinstance(state, Attended):
        return state.sums
    parts = state if isinstance(state, tuple) else ()
    return next((sums for sums in map(attended, parts) if sums is not None), None)


def _counting(state: State, sums: Tensor) -> State:
    """`state`, with every `Attended` at `sums`."""
    if isinstance(state, Attended):
        return Attended(sums)
    if not isinstance(state, tuple):
        return state
    parts = [_counting(part, sums) for part in state]
    return getattr(type(state), "_make", tuple)(parts)


@constraints.register("coverage_penalty")
@dataclass
class CoveragePenalty(Constraint):
    """`log p(end) + beta * sum over source tokens i of log min(1, sum over steps j of a_ij)`.

    a_ij is the attention of step j to i, so the penalty is 0 where each token of the source was
    looked at for a whole step (Wu et al. 2016, equation 14). The step that ends counts, and with
    the last token that `max_length` allows a sequence ends, too, whatever the token. A part of the
    score, the penalty is divided by a length normalisation as the rest of it. For models with
    attention.
    """

    beta: NonNegativeFloat = 0.2
    _: KW_ONLY
    looks_back: bool

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.looks_back:
            needed = "a model that looks back at its source: seq2seq with attention"
            raise ValueError(f"coverage_penalty needs {needed}")

    def wrap(self, stepper: Stepper, start: Start, limits: Limits, batch: Any) -> Wrapped:
        """The memory is how many tokens each row may have; the sums are in the model's state."""
        if not self.beta:
            return stepper, start
        state = _counting(start.state, torch.zeros(len(start.tokens), 1).to(start.tokens.device))
        if attended(state) is None:
            what = "the model's state has no decoders.Attended, which coverage_penalty reads"
            raise DecodeError(what)
        covering = _Covering(stepper, self.beta, list(limits.ends))
        return covering, start._replace(state=(state, limits.lengths(start)))


@dataclass(frozen=True)
class _Covering:
    """A stepper that sees what its model attended to."""

    stepper: Stepper
    beta: float
    ends: list[int]

    def step(self, tokens: Tensor, state: Any, context: State) -> tuple[Tensor, State]:
        inner, left = state
        log_probs, inner = self.stepper.step(tokens, inner, context)
        sums = attended(inner)
        assert sums is not None
        penalty = self.beta * sums.clamp(SMALLEST, 1).log().sum(1)
        ending = (left == 1).unsqueeze(1).repeat(1, log_probs.shape[1])
        ending[:, self.ends] = True
        paid = log_probs + penalty.to(log_probs.dtype).unsqueeze(1)
        return torch.where(ending, paid, log_probs), (inner, left - 1)
