"""Confusion: how often each label came out for each that was right, and what follows from it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import chain, zip_longest
from typing import Any

import numpy as np

from seqgen.metrics.base import Answer, MetricOfSums, Numbers, by_label, mean_share, metrics, share

NONE = ""
"""Stands for a label that is missing on one side: no output, or nothing that it should be."""

Pair = tuple[str, str]
"""The label that was right, and the one that came out."""


def right(pairs: Iterable[Pair]) -> int:
    """How many of them are of equal labels."""
    return sum(reference == output for reference, output in pairs)


@dataclass(frozen=True)
class Scores:
    """How well one label is told from the others; `count` is how often it was right."""

    precision: float
    recall: float
    f1: float
    count: int


class Confusion:
    """Counts of pairs: the label that was right, and the one that came out.

    Where `paired` is false, a label may lack a partner, for which NONE stands; it is no label then.
    """

    def __init__(self, pairs: Iterable[Pair], paired: bool = True) -> None:
        self.counts = Counter(pairs)
        right, came = Counter[str](), Counter[str]()
        for (reference, output), count in self.counts.items():
            right[reference] += count
            came[output] += count
        labels = sorted(right.keys() | came.keys())
        self.scores = {
            label: _scores(self.counts[label, label], came[label], right[label])
            for label in labels
            if paired or label != NONE
        }

    @property
    def total(self) -> int:
        """The number of pairs."""
        return self.counts.total()

    @property
    def correct(self) -> int:
        """The number of pairs of equal labels."""
        return sum(
            count for (reference, output), count in self.counts.items() if reference == output
        )

    def details(self) -> dict[str, Any]:
        """`classes`, the scores of each label, and `confusion`, `{reference: {output: count}}`,
        which leaves out zeros; both sorted by label."""
        matrix: dict[str, dict[str, int]] = {}
        for (reference, output), count in sorted(self.counts.items()):
            matrix.setdefault(reference, {})[output] = count
        classes = {label: asdict(scores) for label, scores in self.scores.items()}
        return {"classes": classes, "confusion": matrix}


def _scores(hits: int, came: int, right: int) -> Scores:
    """A share of nothing is 0: a label that never came has the precision 0."""
    return Scores(
        precision=hits / came if came else 0.0,
        recall=hits / right if right else 0.0,
        f1=2 * hits / (came + right),
        count=right,
    )


# The metric `accuracy`: how many classes are right.


@metrics.register("accuracy")
class Accuracy(MetricOfSums):
    """The share of outputs that are right, where outputs are classes; with the confusion matrix.

    `correct / answers`, from 0 to 1. Details: precision, recall, F1 and count of each class, and
    `confusion`, how often each output came for each class.

    Where a source has several classes, each is right. Data sets with one class a row are usually
    scored by rows, so no output is right for all of them: that is `each_reference`, which counts
    each class of a source as a row.
    """

    better = "higher"
    unit = "share"

    def __init__(self, each_reference: bool = False) -> None:
        self.each_reference = each_reference

    def statistics(self, answers: Sequence[Answer]) -> Numbers:
        """How many of its classes are right, and how many it has: `[answers, 2]`."""
        rows = [class_pairs(answer, self.each_reference) for answer in answers]
        return np.array([[right(pairs), len(pairs)] for pairs in rows], dtype=float)

    def value(self, totals: Numbers) -> Numbers:
        """Right ones over all."""
        return share(totals[..., 0], totals[..., 1])

    def details(self, answers: Sequence[Answer], totals: Numbers) -> dict[str, Any]:
        """The scores of each class, and the confusion matrix."""
        return class_confusion(answers, self.each_reference).details()


# The metric `macro_recall`: how many of a class are right, for all classes alike.


@metrics.register("macro_recall")
class MacroRecall(MetricOfSums):
    """The mean over classes of the share of each that is right, so rare classes count as much.

    `1 / classes * sum over c of correct(c) / count(c)`, from 0 to 1, over the classes that occur in
    references; also called balanced accuracy (Brodersen et al. 2010). Details, several classes of a
    source, and `each_reference`: as in `accuracy`.
    """

    better = "higher"
    unit = "share"

    def __init__(self, each_reference: bool = False) -> None:
        self.each_reference = each_reference

    def statistics(self, answers: Sequence[Answer]) -> Numbers:
        """For each class in references, how many of an answer's are right, and how many it has:
        `[answers, 2 * classes]`. A class of which no answer is drawn is left out of the mean."""
        rows = [class_pairs(answer, self.each_reference) for answer in answers]
        return by_label([(right, int(right == came), 1) for right, came in row] for row in rows)

    def value(self, totals: Numbers) -> Numbers:
        """The mean over classes."""
        return mean_share(totals)

    def details(self, answers: Sequence[Answer], totals: Numbers) -> dict[str, Any]:
        """The scores of each class, and the confusion matrix."""
        return class_confusion(answers, self.each_reference).details()


# Answers whose outputs are classes, as the pairs that a confusion counts.


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


# Answers whose outputs are tags between spaces: each beside the one that it should be.


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


# The metric `tag_accuracy`: how many tags are right.


@metrics.register("tag_accuracy")
class TagAccuracy(MetricOfSums):
    """The share of tags that are right, over the tokens of all answers together.

    `correct / tags`, from 0 to 1; tags stand between spaces, and the i-th of an output belongs to
    the i-th of its reference. What is missing or too many at the end is an error. Where there are
    no tags at all, it is 1. Details: `correct` and `tags`.
    """

    better = "higher"
    unit = "share"

    def statistics(self, answers: Sequence[Answer]) -> Numbers:
        """How many of its tags are right, and how many it has: `[answers, 2]`."""
        rows = map(tag_pairs, answers)
        return np.array([[right(pairs), len(pairs)] for pairs in rows], dtype=float)

    def value(self, totals: Numbers) -> Numbers:
        """Right ones over all."""
        return share(totals[..., 0], totals[..., 1], empty=1.0)

    def details(self, answers: Sequence[Answer], totals: Numbers) -> dict[str, Any]:
        """Both counts."""
        return {"correct": int(totals[0]), "tags": int(totals[1])}


# The metric `tag_scores`: how well each tag is found, for all tags alike.


@metrics.register("tag_scores")
class TagScores(MetricOfSums):
    """Macro F1, the mean over tags of the F1 of each; with precision, recall, F1 and count of all.

    `1 / tags * sum over t of 2 * correct(t) / (outputs(t) + count(t))`, from 0 to 1, over the tags
    that occur in references or outputs; the mean of F1s, not the F1 of means (Opitz and Burst
    2019). Tags are compared as in `tag_accuracy`. Where there are no tags at all, it is 1. Details:
    the scores of each tag, and `confusion`, how often each output came for each tag; '' stands for
    none.
    """

    better = "higher"
    unit = "share"

    def statistics(self, answers: Sequence[Answer]) -> Numbers:
        """For each tag, how often it is in a right pair and how often in any, once for each side:
        `[answers, 2 * tags]`. Their share is the F1; a tag that is in no answer that is drawn is
        left out of the mean."""
        return by_label(
            [
                (tag, int(reference == output), 1)
                for reference, output in tag_pairs(answer)
                for tag in (reference, output)
                if tag != NONE
            ]
            for answer in answers
        )

    def value(self, totals: Numbers) -> Numbers:
        """The mean over tags."""
        return mean_share(totals)

    def details(self, answers: Sequence[Answer], totals: Numbers) -> dict[str, Any]:
        """The scores of each tag, and the confusion matrix."""
        return tag_confusion(answers).details()
