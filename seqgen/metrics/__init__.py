"""Metrics, which say how good a model is. To add one: subclass `MetricOfSums` and register it.

`Proportion` is the shortest of them. A `Metric` whose value does not follow from sums over answers
has no intervals and no tests.
Values are shares from 0 to 1, except those of BLEU and chrF, which go from 0 to 100; error rates
by edits exceed 1 where outputs are much too long. Texts are equal where their code points are: no
metric normalises Unicode, so NFC or NFD is for the data to choose.

What outputs say by themselves, with no reference, is `diversity`: functions of tokens, no metrics.
"""

from seqgen.metrics.base import (
    Answer,
    Measured,
    Metric,
    MetricFactory,
    MetricOfSums,
    Numbers,
    Proportion,
    Tally,
    by_name,
    likelihood,
    measure,
    metrics,
)
from seqgen.metrics.classification import Accuracy, MacroRecall, TagAccuracy, TagScores
from seqgen.metrics.diversity import (
    MORE_DIVERSE,
    SHORTEST,
    TrainingText,
    distinct,
    diversity,
    find_loop,
    looping,
)
from seqgen.metrics.significance import (
    Difference,
    Interval,
    confidence_interval,
    holm,
    paired_statistics,
    paired_test,
)
from seqgen.metrics.strings import (
    Bleu,
    CharacterErrorRate,
    Chrf,
    ExactMatch,
    PhonemeErrorRate,
    WordErrorRate,
)

__all__ = ["Answer", "Measured", "Metric", "MetricOfSums", "Proportion", "measure", "metrics"]
