"""What a compiled text calls to choose a token: scores to shares, truncations, a draw.

Sums run in the order of ids, in float64, as those of the samplers on tensors do; so both choose
the same tokens. Truncations leave zeros in `shares`, in place, and are named like the parts.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

EXACT: dict[str, Any] = {"error_model": "numpy", "nogil": True, "cache": True}

DEAD_END = -(2.0**100)
ROUNDING = 2.0**-20
"""As in the samplers."""


@njit(**EXACT)
def choose(scores, shares, point, temperature, truncations, last):
    """The next token from `scores: [vocab]`; -1 where they are not such that a search goes on.

    From the softmax of `scores / temperature` (0 takes the best), of which `shares: [vocab]` keeps
    what the `truncations: [n, 2]` leave, a place in `decoding.TRUNCATIONS` and a number each. With
    `last` they see the softmax at 1, and the temperature comes after them.
    """
    best = most_probable(scores, len(shares))
    if not DEAD_END < scores[best] < np.inf:
        return -1
    if temperature == 0.0:
        return best
    share_out(scores, shares, 1.0 if last else temperature, scores[best])
    for number in range(len(truncations)):
        if number:
            normalise(shares)
        truncate(shares, truncations[number, 0], truncations[number, 1])
    if last:
        soften(shares, temperature)
    return draw(shares, point)


@njit(**EXACT)
def truncate(shares, kind, value):
    """Leave of `shares` what the truncation of a number leaves."""
    if kind == 0:
        top_k(shares, int(value))
    elif kind == 1:
        top_p(shares, value)
    elif kind == 2:
        min_p(shares, value)
    elif kind == 3:
        typical(shares, value)


@njit(**EXACT)
def most_probable(scores, n):
    """The first token with the highest of `scores: [n]`; NaN is above all."""
    best = 0
    for token in range(1, n):
        if not scores[token] <= scores[best] and scores[best] == scores[best]:
            best = token
    return best


@njit(**EXACT)
def share_out(scores, shares, temperature, highest):
    """`shares: [vocab]`, the softmax of `scores / temperature`; `highest` is the largest score."""
    total = 0.0
    for token in range(len(shares)):
        below = np.float64(scores[token]) - highest
        shares[token] = np.exp(below / temperature) if below > -np.inf else 0.0
        total += shares[token]
    for token in range(len(shares)):
        shares[token] /= total


@njit(**EXACT)
def soften(shares, temperature):
    """`shares ** (1 / temperature)`, normalised; what is 0 stays so."""
    highest = shares.max()
    for token in range(len(shares)):
        if shares[token] > 0.0:
            shares[token] = np.exp(np.log(shares[token] / highest) / temperature)
    normalise(shares)


@njit(**EXACT)
def normalise(shares):
    """Let `shares` sum to one."""
    total = 0.0
    for share in shares:
        total += share
    for token in range(len(shares)):
        shares[token] /= total


@njit(**EXACT)
def draw(shares, point):
    """The first token at which the sum of `shares` exceeds `point`, a share of the whole sum."""
    total = 0.0
    for share in shares:
        total += share
    wanted, total, last = point * total, 0.0, 0
    for token in range(len(shares)):
        total += shares[token]
        if total > wanted:
            return token
        if shares[token] > 0.0:
            last = token
    return last


@njit(**EXACT)
def keep_first(shares, order, mass):
    """Of the tokens in `order` the first ones that have `mass` together."""
    total, wanted = 0.0, mass * (1.0 - ROUNDING)
    for token in order:
        if total >= wanted and total > 0.0:
            shares[token] = 0.0
        else:
            total += shares[token]


@njit(**EXACT)
def top_k(shares, k):
    """As the part of that name."""
    for token in np.argsort(-shares, kind="mergesort")[k:]:
        shares[token] = 0.0


@njit(**EXACT)
def top_p(shares, p):
    """As the part of that name."""
    if p < 1.0:
        keep_first(shares, np.argsort(-shares, kind="mergesort"), p)


@njit(**EXACT)
def min_p(shares, p):
    """As the part of that name."""
    edge = shares.max() * (p * (1.0 - ROUNDING))
    for token in range(len(shares)):
        if shares[token] < edge:
            shares[token] = 0.0


@njit(**EXACT)
def typical(shares, p):
    """As the part of that name."""
    if p < 1.0:
        entropy = 0.0
        for share in shares:
            if share > 0.0:
                entropy -= share * np.log(share)
        apart = np.abs(np.log(shares) + entropy)
        keep_first(shares, np.argsort(apart, kind="mergesort"), p)
