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


def gather_facts(tokenizers: Tokenizers, counts: Mapping[str, Counts]) -> dict[str, Facts]:
    """The facts of each role. `counts` may end early: ids behind its end were never seen."""
    return {
        role: Facts(
            tuple(tokenizer.shown(token) for token in range(len(tokenizer))),
            _padded(counts[role], len(tokenizer)) if role in counts else None,
        )
        for role, tokenizer in tokenizers.items()
    }


def _padded(counts: Counts, size: int) -> Counts:
    if len(counts) > size:
        raise ValueError(f"`counts` must be of at most {size} ids, but is of {len(counts)}")
    return np.pad(counts, (0, size - len(counts)))
