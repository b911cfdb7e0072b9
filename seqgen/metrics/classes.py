"""Answers whose outputs are classes, as the pairs that a confusion counts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from seqgen.metrics.base import Answer
from seqgen.metrics.confusion import Confusion


def class_confusion(answers: Iterable[Answer], each_reference: bool) -> Confusion:
    """The class that was right, and the one that came out.

    Of several references the one counts that the output equals, else the first; with
    `each_reference` every one counts, as if it were an answer of its own.
    """
    return Confusion(_pairs(answers, each_reference))


def _pairs(answers: Iterable[Answer], each_reference: bool) -> Iterator[tuple[str, str]]:
    for answer in answers:
        output = answer.output
        if each_reference:
            yield from ((reference, output) for reference in answer.references)
        else:
            yield (output if output in answer.references else answer.references[0], output)
