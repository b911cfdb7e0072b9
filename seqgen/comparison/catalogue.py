"""The catalogue: all measures that a comparison may have, in the order of columns."""

from __future__ import annotations

from collections.abc import Mapping

from seqgen.comparison import lengths, quality, scores, unlikeness, variety, work
from seqgen.comparison.measures import Measure
from seqgen.metrics import Metric


def all_measures(metrics: Mapping[str, Metric]) -> list[Measure]:
    """Those of the `metrics` first, so that they come before all else that says what is best."""
    return [
        *quality.measures_of(metrics),
        *unlikeness.MEASURES,
        *scores.MEASURES,
        *variety.MEASURES,
        *lengths.MEASURES,
        *work.MEASURES,
    ]
