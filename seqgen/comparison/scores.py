"""Scores: how probable a model finds what was produced, whatever the search added up."""

from __future__ import annotations

import math
from statistics import fmean

from seqgen.comparison.measures import Measure, Outputs
from seqgen.comparison.produced import Output

MEASURES = (
    Measure(
        "log_prob_per_token",
        "log-probability per token",
        "score",
        None,
        "nats",
        "How probable the model finds what it was made to say, without any constraint: sum of the "
        "log-probabilities of all tokens of all outputs, the end token among them, divided by the "
        "number of these tokens; minus this is how surprised it is.",
    ),
    Measure(
        "log_prob_per_sequence",
        "log-probability per output",
        "score",
        None,
        "nats",
        "The mean over outputs of the sum of the log-probabilities of their tokens: what a search "
        "for the most probable output makes as high as it can.",
    ),
    Measure(
        "impossible",
        "impossible outputs",
        "score",
        "lower",
        "share",
        "Outputs with a token that the model gives a probability of 0, or is not let say, divided "
        "by all outputs; the log-probabilities are those of the others.",
        silent=0.0,
    ),
)


def scores(outputs: Outputs) -> dict[str, float]:
    """The log-probabilities of all `outputs` by the model itself, in nats, by the measures above.

    One token of -inf would make every mean -inf. So outputs with such a token are told apart, as
    the share `impossible`, and the means are over the others. A mean over nothing is left out:
    of no output, that per token also where no output has a token.
    """
    every = [each for own in outputs for each in own]
    possible = [each for each in every if log_prob(each) > -math.inf]
    tokens = sum(len(each.log_probs) for each in possible)
    found: dict[str, float] = {}
    if tokens:
        total = math.fsum(each for output in possible for each in output.log_probs)
        found["log_prob_per_token"] = total / tokens
    if possible:
        found["log_prob_per_sequence"] = fmean(map(log_prob, possible))
    if every:
        found["impossible"] = 1 - len(possible) / len(every)
    return found


def log_prob(output: Output) -> float:
    """The log-probability of a whole output, in nats; 0 of one that has no token."""
    return math.fsum(output.log_probs)
