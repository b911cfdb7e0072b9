"""Self-BLEU: how much outputs are like one another."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from statistics import fmean

import numpy as np

from seqgen.metrics.ngrams import NGrams, Numbers, ngrams

LONGEST = 4
"""BLEU looks at n-grams of 1 to 4 tokens."""


def self_bleu(outputs: Sequence[Sequence[str]]) -> float | None:
    """The mean over outputs of the BLEU of each, with all others as its references: 0 to 100.

    By Zhu et al. (2018), smoothed as they do (0.1 of a match for an n without any: method 1 of Chen
    and Cherry 2014), on the scale of the metric `bleu`, by sacrebleu's formula. An output with
    fewer than 4 tokens is judged by the n-grams that it has. 100 where each output comes twice. It
    rises with the number of outputs, so compare it between equally many.

    Empty outputs take no part; where fewer than two are left, there is nothing to compare, and it
    is None. All others are references, and none is drawn: of each n-gram only the two outputs that
    have it most often matter, so the cost grows as n log n of the tokens.
    """
    from sacrebleu.metrics.bleu import BLEU

    texts = [each for each in outputs if len(each)]
    if len(texts) < 2:
        return None
    statistics = [_matches(ngrams(texts, n), len(texts)) for n in range(1, LONGEST + 1)]
    correct, total = np.array(statistics).transpose(1, 2, 0).tolist()
    lengths = [len(each) for each in texts]
    scores = [
        BLEU.compute_bleu(*row, smooth_method="floor", smooth_value=0.1, effective_order=True).score
        for row in zip(correct, total, lengths, _reference_lengths(lengths), strict=True)
    ]
    return min(fmean(scores), 100.0)  # rounding adds up to 100.00000000000004


def _matches(found: NGrams, outputs: int) -> tuple[Numbers, Numbers]:
    """For each output, how many of its n-grams another one has as well, and how many it has."""
    entries, counts = np.unique(found.owners * found.distinct + found.numbers, return_counts=True)
    owners, numbers = np.divmod(entries, max(found.distinct, 1))
    limits = np.minimum(counts, _most_elsewhere(numbers, counts))
    matches, totals = (np.bincount(owners, each, outputs) for each in (limits, counts))
    return matches.astype(np.int64), totals.astype(np.int64)


def _most_elsewhere(numbers: Numbers, counts: Numbers) -> Numbers:
    """For each n-gram of each output, how often the other that has it most often has it.

    numbers: `[entries]`, an entry for each different n-gram of each output; counts: `[entries]`.
    """
    order = np.lexsort((counts, numbers))  # by n-gram, then from those that have it least often
    numbers, counts = numbers[order], counts[order]
    best = np.searchsorted(numbers, numbers, side="right") - 1
    # Whoever has it most often is compared with the second, which stands before it.
    other = np.where(best == np.arange(len(best)), best - 1, best)
    shared = (other >= 0) & (numbers[other] == numbers)
    most = np.empty_like(counts)
    most[order] = np.where(shared, counts[other], 0)
    return most


def _reference_lengths(lengths: Sequence[int]) -> list[int]:
    """For each, the nearest of the others, of two that are equally near the shorter one."""
    rising = sorted(lengths)
    nearest = []
    for length in lengths:
        index = bisect_left(rising, length)
        around = rising[max(index - 1, 0) : index] + rising[index + 1 : index + 2]
        nearest.append(min((abs(other - length), other) for other in around)[1])
    return nearest
