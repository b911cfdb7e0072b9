"""What sacrebleu counts in each answer before it sums and scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from seqgen.metrics.base import Answer, Numbers
from seqgen.metrics.streams import streams

if TYPE_CHECKING:
    from sacrebleu.metrics.base import Metric as Scorer

AT_ONCE = 4096
"""How many answers sacrebleu gets at a time: it keeps all n-grams of all their references."""


def counts(scorer: Scorer, answers: Sequence[Answer]) -> Numbers:
    """The statistics of `scorer` for each answer, `[answers, columns]`, as it orders them.

    sacrebleu has no public name for them; by this one its own significance tests ask its metrics.
    """
    found = []
    for begin in range(0, len(answers), AT_ONCE):
        some = streams(answers[begin : begin + AT_ONCE])
        found.extend(scorer._extract_corpus_statistics(*some))
    return np.array(found, dtype=float)


def signature(scorer: Scorer, answers: Sequence[Answer]) -> str:
    """How `scorer` measures these answers: its options, and how many references there are.

    One answer for each number of references tells as much of that as all of them.
    """
    few = {len(answer.references): answer for answer in answers}
    scorer.corpus_score(*streams(few.values()))
    return str(scorer.get_signature())
