"""Answers as the streams of texts that sacrebleu takes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import zip_longest

from seqgen.metrics.base import Answer


def streams(answers: Iterable[Answer]) -> tuple[list[str], list[Sequence[str]]]:
    """The outputs, and the first references of all, the second ones, and so on.

    sacrebleu wants streams of equal length. It leaves out a None, and says `nrefs:var` then; an
    empty text would be taken for a reference.
    """
    outputs, references = [], []
    for answer in answers:
        outputs.append(answer.output)
        references.append(answer.references)
    return outputs, list(zip_longest(*references))
