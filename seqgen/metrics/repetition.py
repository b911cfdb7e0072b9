"""Repeated n-grams: how much of an output it has said before."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

import numpy as np

from seqgen.metrics.ngrams import ngrams


def repeated(outputs: Sequence[Sequence[str]], n: int) -> float | None:
    """The mean over outputs of `1 - distinct n-grams / n-grams` within each: seq-rep-n.

    From 0, where no output has an n-gram twice, to below 1 (Welleck et al. 2020). Outputs with
    fewer than n tokens have no n-gram and do not count; where all are so short, it is None. What
    several outputs share is no matter here, unlike in `distinct`.
    """
    found = ngrams(outputs, n)
    totals = np.bincount(found.owners)
    # One of each n-gram of each output: which output has it.
    owners = np.unique(found.owners * found.distinct + found.numbers) // max(found.distinct, 1)
    distinct = np.bincount(owners)
    shares = 1 - distinct[totals > 0] / totals[totals > 0]
    return fmean(shares.tolist()) if len(shares) else None
