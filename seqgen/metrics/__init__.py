"""Metrics, which say how good a model is. To add one: subclass `MetricOfSums` and register it.

A `Metric` whose value does not follow from sums over answers has no intervals and no tests.
Values are shares from 0 to 1, except those of BLEU and chrF, which go from 0 to 100; error rates
by edits exceed 1 where outputs are much too long. Texts are equal where their code points are: no
metric normalises Unicode, so NFC or NFD is for the data to choose.

What outputs say by themselves, with no reference, is `diversity`: functions of tokens, no metrics.
"""

from seqgen.metrics.accuracy import Accuracy
from seqgen.metrics.base import (
    Answer,
    Measured,
    Metric,
    MetricFactory,
    MetricOfSums,
    metrics,
)
from seqgen.metrics.bleu import Bleu
from seqgen.metrics.bootstrap import Interval, confidence_interval
from seqgen.metrics.character_error_rate import CharacterErrorRate
from seqgen.metrics.chrf import Chrf
from seqgen.metrics.copies import TrainingText
from seqgen.metrics.diversity import MORE_DIVERSE, diversity
from seqgen.metrics.exact_match import ExactMatch
from seqgen.metrics.holm import holm
from seqgen.metrics.likelihood import Tally, likelihood
from seqgen.metrics.macro_recall import MacroRecall
from seqgen.metrics.measure import by_name, measure
from seqgen.metrics.paired import Difference, paired_statistics, paired_test
from seqgen.metrics.phoneme_error_rate import PhonemeErrorRate
from seqgen.metrics.tag_accuracy import TagAccuracy
from seqgen.metrics.tag_scores import TagScores
from seqgen.metrics.word_error_rate import WordErrorRate

__all__ = [
    "MORE_DIVERSE",
    "Accuracy",
    "Answer",
    "Bleu",
    "CharacterErrorRate",
    "Chrf",
    "Difference",
    "ExactMatch",
    "Interval",
    "MacroRecall",
    "Measured",
    "Metric",
    "MetricFactory",
    "MetricOfSums",
    "PhonemeErrorRate",
    "TagAccuracy",
    "TagScores",
    "Tally",
    "TrainingText",
    "WordErrorRate",
    "by_name",
    "confidence_interval",
    "diversity",
    "holm",
    "likelihood",
    "measure",
    "metrics",
    "paired_statistics",
    "paired_test",
]
