"""Answers whose outputs are tags between spaces: each beside the one that it should be."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain, zip_longest

from seqgen.metrics.base import Answer
from seqgen.metrics.confusion import NONE, Confusion, Pair, right


def tag_confusion(answers: Iterable[Answer]) -> Confusion:
    """The pairs of all answers, see `tag_pairs`."""
    return Confusion(chain.from_iterable(map(tag_pairs, answers)), paired=False)


def tag_pairs(answer: Answer) -> list[Pair]:
    """The tag that was right, and the one that came out, token by token.

    A reference has as many tags as the output. Where it has not, tags that are missing at the end
    and those that are too many are errors, whose partner is NONE. Of several references the one
    with the fewest errors counts, of several such the longest, then the first.
    """
    output = answer.output.split()
    candidates = [
        list(zip_longest(reference.split(), output, fillvalue=NONE))
        for reference in answer.references
    ]
    return min(candidates, key=lambda pairs: (len(pairs) - right(pairs), -len(pairs)))
