"""Rescoring: how probable given outputs are to a model, whichever search has found them."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from seqgen.answers import alike
from seqgen.decoders import Limits
from seqgen.decoders.forced import Forced
from seqgen.generate import Generator
from seqgen.models import evaluating

LogProbs = tuple[float, ...]
Tokens = Sequence[int]


def rescored(
    generator: Generator, texts: Sequence[str], outputs: Sequence[Tokens], batch_size: int
) -> list[LogProbs]:
    """For each text the model's own log-probability of each token of its output.

    Without any constraint; a token that the model is not let say, such as one that it does not
    know, has -inf. Outputs alike in length share a batch.
    """
    found: list[LogProbs] = [()] * len(texts)
    for places in alike([len(each) for each in outputs], batch_size):
        own = [outputs[place] for place in places]
        scored = _together(generator, [texts[place] for place in places], own)
        for place, log_probs in zip(places, scored, strict=True):
            found[place] = log_probs
    return found


def _together(
    generator: Generator, texts: Sequence[str], outputs: Sequence[Tokens]
) -> list[LogProbs]:
    """As `rescored`, in one batch."""
    with evaluating(generator.model):
        batch = generator.batch(texts)
        limits = Limits([len(each) for each in outputs])
        stepper, start = generator.start(batch, limits)
        numbers = torch.arange(len(texts), device=start.tokens.device)
        forced = Forced(dict(enumerate(outputs)))
        hypotheses = forced.decode(stepper, start._replace(numbers=numbers), limits)
    return [found.log_probs for [found] in hypotheses]
