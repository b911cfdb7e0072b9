"""Timing: how many seconds each of several works takes, all by one clock and in turn."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from statistics import median
from typing import Any, NamedTuple

from seqgen.comparison.plan import SpeedOptions


class Decoded(NamedTuple):
    """What came of decoding once: so many sequences, which have so many tokens together."""

    sequences: int
    tokens: int


Decode = Callable[[], Decoded]
"""Decodes once, and returns when all of it is done."""


def take_times(
    systems: Mapping[str, Decode],
    options: SpeedOptions,
    announce: Callable[[str], None] = lambda label: None,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, dict[str, Any]]:
    """For each label the seconds of decoding once (least, median and most of `repeats` rounds),
    and the sequences and tokens a second that the median makes.

    Each round times every system once, so whatever slows the machine for a while slows all of them
    alike. Each begins with another one, since what is timed may suffer from what came before.
    The first `warm_ups` rounds are not measured; without `repeats` nothing is done. `announce` is
    told of each label before its turn.
    """
    seconds: dict[str, list[float]] = {label: [] for label in systems}
    decoded = {}
    labels = list(systems)
    rounds = options.warm_ups + options.repeats if options.repeats else 0
    with _no_old_garbage():
        for turn in range(rounds):
            first = turn % len(labels) if labels else 0
            for label in labels[first:] + labels[:first]:
                announce(label)
                begun = clock()
                decoded[label] = systems[label]()
                took = clock() - begun
                if turn >= options.warm_ups:
                    seconds[label].append(took)
    return {label: _summary(taken, decoded[label]) for label, taken in seconds.items() if taken}


@contextmanager
def _no_old_garbage() -> Iterator[None]:
    """A context in which Python looks for garbage among new objects only: a look at all that were
    there before takes longer than many a decoding, and would fall on one of them by chance."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _summary(seconds: list[float], decoded: Decoded) -> dict[str, Any]:
    usual = median(seconds)
    return {
        "seconds": {"min": min(seconds), "median": usual, "max": max(seconds)},
        "sequences_per_second": _rate(decoded.sequences, usual),
        "tokens_per_second": _rate(decoded.tokens, usual),
    }


def _rate(count: int, seconds: float) -> float | None:
    """None where the clock is too coarse to see that time went by."""
    return count / seconds if seconds else None
