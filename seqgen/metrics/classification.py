"""Metrics of labels: of classes, one an answer, and of tags, one a token."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from typing import Any

import numpy as np

from seqgen.metrics.base import Answer, MetricOfSums, Numbers, Proportion, metrics, share

NONE = ""
"""Stands for a tag that the output lacks, or that it has and should not."""

Pair = tuple[str, str]
"""The label that was right, and the one of the output."""

Judgement = tuple[str, bool]
"""A label that was there, and whether it was right."""


def class_pairs(answer: Answer, each_reference: bool) -> list[Pair]:
    """The class that was right, and the output.

    Of several references the one counts that the output equals, else the first; with
    `each_reference` every one counts, as if it were an answer of its own.
    """
    if each_reference:
        return [(reference, answer.output) for reference in answer.references]
    right = answer.output if answer.output in answer.references else answer.references[0]
    return [(right, answer.output)]


def tag_pairs(answer: Answer) -> list[Pair]:
    """The tag that was right, and the one of the output, token by token.

    A reference has as many tags as the output. Where it has not, tags that are missing at the end
    and those that are too many are errors, whose partner is NONE. Of several references the one
    with the fewest errors counts, of several such the longest, then the first.
    """
    output = answer.output.split()
    candidates = [
        list(zip_longest(reference.split(), output, fillvalue=NONE))
        for reference in answer.references
    ]
    return min(candidates, key=lambda pairs: (len(pairs) - hits(pairs), -len(pairs)))


def hits(pairs: Iterable[Pair]) -> int:
    """How many labels are right."""
    return sum(reference == output for reference, output in pairs)


def confusion(pairs: Iterable[Pair], labels_only: bool = False) -> dict[str, Any]:
    """How often each label came out for each that was right, and what follows from it.

    `classes` has the precision, recall, F1 and count of each label, where a share of nothing is 0;
    `confusion` is `{reference: {output: count}}` without zeros. Both are sorted by label. With
    `labels_only` NONE is no label and has no scores.
    """
    counts = Counter(pairs)
    matrix: dict[str, dict[str, int]] = {}
    right, came = Counter[str](), Counter[str]()
    for (reference, output), count in sorted(counts.items()):
        matrix.setdefault(reference, {})[output] = count
        right[reference] += count
        came[output] += count
    classes = {
        label: {
            "precision": counts[label, label] / came[label] if came[label] else 0.0,
            "recall": counts[label, label] / right[label] if right[label] else 0.0,
            "f1": 2 * counts[label, label] / (came[label] + right[label]),
            "count": right[label],
        }
        for label in sorted(right.keys() | came.keys())
        if not labels_only or label != NONE
    }
    return {"classes": classes, "confusion": matrix}


class MeanOverLabels(MetricOfSums, ABC):
    """The mean over labels of the share of each that is right.

    A label that no answer that is drawn has is left out; without labels it is 1.
    """

    better = "higher"
    unit = "share"

    @abstractmethod
    def judge(self, answer: Answer) -> list[Judgement]:
        """The labels of an answer."""

    def statistics(self, answers: Sequence[Answer]) -> Numbers:
        """`[answers, 2 * labels]`: how often each label was right, sorted, then how often it was.

        It is for few labels and many answers, since most of it is zeros.
        """
        rows = [self.judge(answer) for answer in answers]
        labels = sorted({label for row in rows for label, _ in row})
        places = {label: place for place, label in enumerate(labels)}
        sums = np.zeros((len(rows), 2, len(labels)))
        for row, judgements in zip(sums, rows, strict=True):
            for label, right in judgements:
                row[:, places[label]] += right, 1
        return sums.reshape(len(rows), 2 * len(labels))

    def value(self, totals: Numbers) -> Numbers:
        rights, counts = np.split(totals, 2, axis=-1)
        labels = np.asarray(np.sum(counts > 0, axis=-1), dtype=np.float64)
        return share(share(rights, counts).sum(axis=-1), labels, empty=1.0)


@metrics.register("accuracy")
@dataclass(eq=False)
class Accuracy(Proportion):
    """The share of right outputs, if outputs are classes; with the confusion matrix.

    `correct / answers`, from 0 to 1. Details: precision, recall, F1 and count of each class, and
    `confusion`, how often each output came for each class.

    Where a source has several classes, each is right. Data sets with one class a row are usually
    scored by rows, so no output is right for all of them: that is `each_reference`, which counts
    each class of a source as a row.
    """

    each_reference: bool = False

    def count(self, answer: Answer) -> tuple[int, int]:
        pairs = class_pairs(answer, self.each_reference)
        return hits(pairs), len(pairs)

    def details(self, answers: Sequence[Answer], totals: Numbers) -> dict[str, Any]:
        rows = (class_pairs(answer, self.each_reference) for answer in answers)
        return confusion(chain.from_iterable(rows))


@metrics.register("macro_recall")
@dataclass(eq=False)
class MacroRecall(MeanOverLabels):
    """The mean recall over classes, so that rare classes count as much as frequent ones.

    `1 / classes * sum over c of correct(c) / count(c)`, from 0 to 1, over the classes that occur in
    references; also called balanced accuracy (Brodersen et al. 2010). Details, several classes of a
    source, and `each_reference`: as in `accuracy`.
    """

    each_reference: bool = False

    def judge(self, answer: Answer) -> list[Judgement]:
        pairs = class_pairs(answer, self.each_reference)
        return [(right, right == came) for right, came in pairs]

    def details(self, answers: Sequence[Answer], totals: Numbers) -> dict[str, Any]:
        rows = (class_pairs(answer, self.each_reference) for answer in answers)
        return confusion(chain.from_iterable(rows))


@metrics.register("tag_accuracy")
class TagAccuracy(Proportion):
    """The share of right tags over the tokens of all answers together.

    `correct / tags`, from 0 to 1; tags stand between spaces, and the i-th of an output belongs to
    the i-th of its reference. What is missing or too many at the end is an error. Where there are
    no tags at all, it is 1. Details: `correct` and `tags`.
    """

    names = ("correct", "tags")
    empty = 1.0

    def count(self, answer: Answer) -> tuple[int, int]:
        pairs = tag_pairs(answer)
        return hits(pairs), len(pairs)


@metrics.register("tag_scores")
class TagScores(MeanOverLabels):
    """Macro F1, the mean over tags of the F1 of each; with precision, recall, F1 and count of all.

    `1 / tags * sum over t of 2 * correct(t) / (outputs(t) + count(t))`, from 0 to 1, over the tags
    that occur in references or outputs; the mean of F1s, not the F1 of means (Opitz and Burst
    2019). Tags are compared as in `tag_accuracy`. Where there are no tags at all, it is 1. Details:
    the scores of each tag, and `confusion`, how often each output came for each tag; '' stands for
    none.
    """

    def judge(self, answer: Answer) -> list[Judgement]:
        """Of each side of a pair its tag, whose F1 is the share of those in right pairs."""
        return [
            (tag, right == came)
            for right, came in tag_pairs(answer)
            for tag in (right, came)
            if tag != NONE
        ]

    def details(self, answers: Sequence[Answer], totals: Numbers) -> dict[str, Any]:
        return confusion(chain.from_iterable(map(tag_pairs, answers)), labels_only=True)
