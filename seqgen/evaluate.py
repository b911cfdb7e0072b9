"""Evaluation: the likelihood of a held-out split under a model, each token once."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import chain
from typing import Any, NamedTuple

import torch

from seqgen.data import Split, TokenBatch
from seqgen.decoders import DecoderFactory, Greedy
from seqgen.metrics import Tally, likelihood
from seqgen.models import Model, evaluating
from seqgen.options import Count, Size
from seqgen.state import State
from seqgen.tokenizers import UNK


@dataclass(frozen=True)
class EvaluationOptions:
    """How a model is evaluated, the recipe's section `evaluation`.

    `criterion` names the figure or metric that decides about the best checkpoint, schedules and
    patience. Metrics need outputs: at each validation for up to `validation_examples` sources,
    evenly spaced, by `validation_decoder`; at the end for all sources, by the recipe's decoder.
    `batch_size` affects memory and speed only.
    """

    criterion: str = "nats_per_token"
    validation_examples: Count = 500
    validation_decoder: DecoderFactory = Greedy
    batch_size: Size = 64


class RowScore(NamedTuple):
    """The log-probability of a row's targets, teacher-forced: their sum, that of each, and how many
    of them are UNK."""

    score: float
    log_probs: tuple[float, ...]
    unknown: int


def evaluate(
    model: Model, split: Split[TokenBatch], device: torch.device, batch_size: int = 32
) -> dict[str, float]:
    """The figures of `likelihood` for `split`, without dropout, in float32.

    `batch_size` affects memory and speed, not the figures.
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


def score_rows(
    model: Model, split: Split[Any], device: torch.device, batch_size: int = 32
) -> list[RowScore]:
    """How probable the targets of each row of `split` are, in order; the split must have rows.

    `batch_size` affects memory and speed only.
    """

    def visit(batch: Any, state: State) -> tuple[list[tuple[int, RowScore]], State]:
        score = model.score(batch.to(device), state)
        columns = batch.row_ids, batch.lengths, batch.targets, -score.nats
        rows = zip(*(column.tolist() for column in columns), strict=True)
        return [
            (number, RowScore(math.fsum(own[:n]), tuple(own[:n]), targets[:n].count(UNK)))
            for number, n, targets, own in rows
        ], score.state

    with evaluating(model):
        found = split.walk(visit, model.initial_state, batch_size)
    return [score for _, score in sorted(chain.from_iterable(found))]
