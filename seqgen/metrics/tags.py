"""Answers whose outputs are tags between spaces: each beside the one that it should be."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain, zip_longest

from seqgen.metrics.base import Answer
from seqgen.metrics.confusion import NONE, Confusion

Pairs = list[tuple[str, str]]


def tag_confusion(answers: Iterable[Answer]) -> Confusion:
    """The tag that was right, and the one that came out, token by token.

    A reference has as many tags as the output. Where it has not, tags that are missing at the end
    and those that are too many are errors. Of several references the one with the fewest errors
    counts, of several such the longest, then the first.
    """
    return Confusion(chain.from_iterable(map(_beside_the_nearest, answers)), paired=False)


def _beside_the_nearest(answer: Answer) -> Pairs:
    output = answer.output.split()
    candidates = [
        list(zip_longest(reference.split(), output, fillvalue=NONE))
        for reference in answer.references
    ]
    return min(candidates, key=lambda pairs: (_errors(pairs), -len(pairs)))


def _errors(pairs: Pairs) -> int:
    return sum(reference != output for reference, output in pairs)
