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
HOTTEST = 1e9
"""As in the samplers."""


@njit(**EXACT)
def choose(scores, shares, point, temperature, truncations, last):
    """The next token from `scores: [vocab]`; -1 where they are not such that a search goes on.

    From the softmax of `scores / temperature` (0 takes the best), of which `shares: [vocab]` keeps
    what the `truncations: [n, 3]` leave: a place in `decoding.TRUNCATIONS` and up to two numbers
    each. With `last` they see the softmax at 1, and the temperature comes after them.
    """
    best = 0
    for token in range(len(shares)):
        if scores[token] > scores[best] or np.isnan(scores[token]):
            best = token
    if not DEAD_END < scores[best] < np.inf:
        return -1
    if temperature == 0.0 and not last:
        return best
    shares[:] = 1.0
    heat_up(scores, shares, 1.0 if last else min(temperature, HOTTEST))
    for number in range(len(truncations)):
        if number:
            shares /= running_sum(shares)
        kind, value, other = truncations[number]
        truncate(shares, kind, value, other)
    if last:
        heat_up(scores, shares, temperature)
    elif temperature > HOTTEST:
        shares[:] = np.sign(shares)
    return draw(shares, point)


@njit(**EXACT)
def heat_up(scores, shares, temperature):
    """Let `shares` be the softmax of `scores / temperature` over the tokens that have a share."""
    first, highest = -1, -np.inf
    for token in range(len(shares)):
        if shares[token] > 0.0 and scores[token] > highest:
            first, highest = token, scores[token]
    for token in range(len(shares)):
        if temperature == 0.0:
            shares[token] = 1.0 if token == first else 0.0
        elif shares[token] > 0.0:
            below = np.float64(scores[token]) - np.float64(highest)
            hot = below > -np.inf
            shares[token] = np.exp(below / min(temperature, 1e300)) if hot else 0.0
    shares /= running_sum(shares)


@njit(**EXACT)
def running_sum(values):
    """Their sum, in order."""
    total = 0.0
    for each in values:
        total += each
    return total


@njit(**EXACT)
def draw(shares, point):
    """The first token at which the sum of `shares` exceeds `point`, a part of the whole sum."""
    wanted, total, last = point * running_sum(shares), 0.0, 0
    for token in range(len(shares)):
        total += shares[token]
        if total > wanted:
            return token
        if shares[token] > 0.0:
            last = token
    return last


@njit(**EXACT)
def truncate(shares, kind, value, other):
    """What the truncation at place `kind` does, with its numbers."""
    if kind == 0:
        for token in np.argsort(-shares, kind="mergesort")[int(value) :]:
            shares[token] = 0.0
    elif kind == 1 and value < 1.0:
        keep_first(shares, np.argsort(-shares, kind="mergesort"), value)
    elif kind == 2:
        keep_above(shares, shares.max() * value)
    elif kind == 3 and value < 1.0:
        unlike = np.abs(np.log(shares) + entropy(shares))
        keep_first(shares, np.argsort(unlike, kind="mergesort"), value)
    elif kind == 4:
        keep_above(shares, value)
    elif kind == 5:
        alpha = np.sqrt(value) if np.isnan(other) else other
        keep_above(shares, min(value, alpha * np.exp(-entropy(shares))))
    elif kind == 6:
        keep_near(shares, value)


@njit(**EXACT)
def entropy(shares):
    """In nats."""
    total = 0.0
    for share in shares:
        if share > 0.0:
            total -= share * np.log(share)
    return total


@njit(**EXACT)
def keep_first(shares, order, mass):
    """Leave of the tokens in `order` the first ones that have `mass` together."""
    total, wanted = 0.0, mass * (1.0 - ROUNDING)
    for token in order:
        if total < wanted:
            total += shares[token]
        else:
            shares[token] = 0.0


@njit(**EXACT)
def keep_above(shares, threshold):
    """Leave the shares that reach `threshold`; where none does, the largest."""
    least = min(shares.max(), threshold * (1.0 - ROUNDING))
    for token in range(len(shares)):
        if shares[token] < least:
            shares[token] = 0.0


@njit(**EXACT)
def keep_near(shares, count):
    """Leave those whose logarithm is at most `count` standard deviations below the largest."""
    gaps = np.log(shares.max()) - np.log(shares)
    possible = 0
    for token in range(len(shares)):
        if shares[token] > 0.0:
            possible += 1
        else:
            gaps[token] = 0.0
    mean = running_sum(gaps) / possible
    variance = max(running_sum(gaps * gaps) / possible - mean * mean, 0.0)
    for token in range(len(shares)):
        if gaps[token] > np.sqrt(variance) * (count * (1.0 + ROUNDING)):
            shares[token] = 0.0
