"""The entropy of n-grams: how evenly outputs make use of those that they have."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from seqgen.metrics.ngrams import ngrams


def entropy(outputs: Sequence[Sequence[str]], n: int) -> float | None:
    """`- sum over n-grams g of p(g) * log2 p(g)`, in bits: Ent-n.

    `p(g) = count(g) / n-grams`, over the tokens of all outputs together (Zhang et al. 2018, who
    give nats). From 0, where all n-grams are the same, to the log2 of their number, where all are
    different; so it grows with the amount of text. None where no output has n tokens.
    """
    numbers = ngrams(outputs, n).numbers
    if not len(numbers):
        return None
    # Equal counts are one term, in a fixed order, so that the order of outputs changes no last bit.
    counts, times = np.unique(np.bincount(numbers), return_counts=True)
    shares = counts / len(numbers)
    return float((times * shares * np.log2(1 / shares)).sum())
