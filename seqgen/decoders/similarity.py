"""How alike two sequences of tokens are, from 0 to 1."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from rapidfuzz.distance import Levenshtein

Similarity = Callable[[Sequence[int], Sequence[int]], float]

NGRAM_SIZE = 4
"""The longest n-grams that `ngram_f` counts."""


def edit(one: Sequence[int], other: Sequence[int]) -> float:
    """`1 - distance / length of the longer`, by the number of tokens to insert, delete or replace
    (Levenshtein 1966); two empty sequences are alike."""
    return float(Levenshtein.normalized_similarity(one, other))


def ngram_f(one: Sequence[int], other: Sequence[int]) -> float:
    """The harmonic mean of n-gram precision and recall, each the mean over n = 1, ..., 4.

    chrF (Popovic 2015) on tokens, with precision and recall of equal weight, so it is the same
    both ways. An n that neither sequence is long enough for is left out; two empty sequences are
    alike.
    """
    precisions, recalls = [], []
    for size in range(1, NGRAM_SIZE + 1):
        mine, theirs = _ngrams(one, size), _ngrams(other, size)
        if mine or theirs:
            shared = (mine & theirs).total()
            precisions.append(shared / max(mine.total(), 1))
            recalls.append(shared / max(theirs.total(), 1))
    if not precisions:
        return 1.0
    precision, recall = (sum(each) / len(each) for each in (precisions, recalls))
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _ngrams(tokens: Sequence[int], size: int) -> Counter[tuple[int, ...]]:
    """How often each n-gram of `size` tokens comes."""
    return Counter(tuple(tokens[i : i + size]) for i in range(len(tokens) - size + 1))
