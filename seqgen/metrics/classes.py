"""Answers whose outputs are classes, as the pairs that a confusion counts."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain

from seqgen.metrics.base import Answer
from seqgen.metrics.confusion import Confusion, Pair


def class_confusion(answers: Iterable[Answer], each_reference: bool) -> Confusion:
    """The pairs of all answers, see `class_pairs`."""
    pairs = (class_pairs(answer, each_reference) for answer in answers)
    return Confusion(chain.from_iterable(pairs))


def class_pairs(answer: Answer, each_reference: bool) -> list[Pair]:
    """The class that was right, and the one that came out.

    Of several references the one counts that the output equals, else the first; with
    `each_reference` every one counts, as if it were an answer of its own.
    """
    output = answer.output
    if each_reference:
        return [(reference, output) for reference in answer.references]
    return [(output if output in answer.references else answer.references[0], output)]
