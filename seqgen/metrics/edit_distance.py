"""Error rates: the edits from outputs to their nearest references, over the length of these."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from rapidfuzz.distance import Levenshtein

from seqgen.metrics.base import Answer, Measured


def error_rate(answers: Iterable[Answer], split: Callable[[str], Sequence[str]]) -> Measured:
    """`sum of distance(output, nearest) / sum of length(nearest)` of what `split` makes of texts.

    The distance is the least number of items to insert, delete or replace (Levenshtein 1966). The
    nearest reference is the one at the smallest distance, of several the longest. The rate is at
    least 0; it exceeds 1 where outputs are much longer than references. Where all references are
    empty, it is the number of edits. Details: `edits` and `reference_length`.
    """
    edits = length = 0
    for answer in answers:
        references = [split(each) for each in answer.references]
        distance, size = nearest(split(answer.output), references)
        edits += distance
        length += size
    return Measured(edits / max(length, 1), {"edits": edits, "reference_length": length})


def nearest(output: Sequence[str], references: Iterable[Sequence[str]]) -> tuple[int, int]:
    """How far the nearest reference is, and how long."""
    found = ((Levenshtein.distance(output, each), len(each)) for each in references)
    return min(found, key=lambda each: (each[0], -each[1]))
