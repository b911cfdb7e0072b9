"""The n-grams of outputs as numbers, equal where the n-grams are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.int64]


class NGrams(NamedTuple):
    """All n-grams of all outputs, in their order; none goes over the end of an output.

    `numbers` is `[n-grams]`, from 0 to `distinct` - 1, and the same for the same n-gram. `owners`
    is `[n-grams]`, the index of the output that each stands in.
    """

    numbers: Numbers
    owners: Numbers
    distinct: int


def ngrams(outputs: Sequence[Sequence[str]], n: int) -> NGrams:
    """The n-grams of the tokens of each output.

    They are told apart exactly: the number of one comes from the number of its first n - 1 tokens
    and that of its last token. Errors: ValueError where `n` is less than 1.
    """
    if n < 1:
        raise ValueError(f"`n` must be at least 1, but is {n}")
    vocabulary: defaultdict[str, int] = defaultdict(lambda: len(vocabulary))
    tokens = np.fromiter((vocabulary[token] for each in outputs for token in each), np.int64)
    owners = np.repeat(np.arange(len(outputs)), [len(each) for each in outputs])
    numbers = tokens
    for size in range(2, n + 1):
        pairs = numbers[:-1] * len(vocabulary) + tokens[size - 1 :]
        numbers = np.unique(pairs, return_inverse=True)[1]
    starts = owners[: len(numbers)]
    within = starts == owners[n - 1 :]
    distinct, numbers = np.unique(numbers[within], return_inverse=True)
    return NGrams(numbers, starts[within], len(distinct))
