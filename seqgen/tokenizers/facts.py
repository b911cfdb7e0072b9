"""Facts about a vocabulary, from which a part of a new model may start: pieces and counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seqgen.tokenizers.base import Tokenizers

Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Facts:
    """What `shown` gives for each id, and how often each id stands in the training tokens.

    `counts: [vocab]`, or None where the kind of data does not count.
    """

    pieces: tuple[str, ...]
    counts: Counts | None = None


MOST_IDS = 1 << 24
"""More than any vocabulary has: counting an id beyond would take memory for all below it."""


def count_ids(ids: NDArray[np.int64]) -> Counts:
    """How often each id stands in `ids: [count]`. Raises ValueError, with the place, if one is
    negative or larger than any vocabulary."""
    wrong = np.flatnonzero((ids < 0) | (ids >= MOST_IDS))
    if len(wrong):
        place = f"token {wrong[0] + 1} of the training text"
        raise ValueError(f"the tokenizer gave the id {ids[wrong[0]]} for {place}, which none has")
    return np.bincount(ids)


def gather_facts(tokenizers: Tokenizers, counts: Mapping[str, Counts]) -> dict[str, Facts]:
    """The facts of each role. `counts` may end early: ids behind its end were never seen."""
    return {
        role: Facts(
            tuple(tokenizer.shown(token) for token in range(len(tokenizer))),
            _padded(counts[role], len(tokenizer), role) if role in counts else None,
        )
        for role, tokenizer in tokenizers.items()
    }


def _padded(counts: Counts, size: int, role: str) -> Counts:
    if len(counts) > size:
        found = f"gave the id {len(counts) - 1}, but has {size} ids (0 to {size - 1})"
        raise ValueError(f"the tokenizer of '{role}' {found}")
    return np.pad(counts, (0, size - len(counts)))
