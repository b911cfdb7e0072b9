"""Evaluation: the likelihood of a held-out split under a model, each token once."""

from __future__ import annotations

import torch

from seqgen.data.base import Split
from seqgen.data.batches import TokenBatch
from seqgen.metrics import Tally, likelihood
from seqgen.models import Model, evaluating
from seqgen.state import State


def evaluate(
    model: Model, split: Split[TokenBatch], device: torch.device, batch_size: int = 32
) -> dict[str, float]:
    """The figures of `likelihood` for `split`, without dropout, in float32.

    `batch_size` is about memory and speed; the figures do not depend on it.
    """

    def visit(batch: TokenBatch, state: State) -> tuple[Tally, State]:
        score = model.score(batch.to(device), state)
        tally = Tally(float(score.nats.double().sum()), int(score.correct.sum()), batch.tokens)
        return tally, score.state

    with evaluating(model):
        tallies = split.walk(visit, model.initial_state, batch_size)
    total = sum(tallies, Tally(0.0, 0, 0))
    figures = likelihood(total, split.size.chars, split.size.bytes)
    share = split.unknown / split.tokens
    return {**figures, "unknown": split.unknown, "unknown_share": share}
