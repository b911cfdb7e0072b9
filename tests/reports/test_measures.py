import math

import pytest

from seqgen.metrics import metrics
from seqgen.reports.measures import is_share, measure_value, metric_label, metric_value


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("exact_match", 0.99021, "exact match 99.02 %"),
        ("exact_match", 0.99999, "exact match >99.99 %"),
        ("exact_match", 1.0, "exact match 100.00 %"),
        ("phoneme_error_rate", 7.1713, "phoneme error rate 717.13 %"),
        ("word_error_rate", 1e-6, "word error rate <0.01 %"),
        ("tag_scores", 0.5, "macro F1 of tags 50.00 %"),
        ("bleu", 34.25, "BLEU 34.25"),
        ("my_own", 0.5, "my own 0.5000"),
        ("accuracy", math.nan, "accuracy not a number"),
        ("accuracy", None, "accuracy \u2013"),
    ],
)
def test_metrics_in_words(name: str, value: float | None, shown: str) -> None:
    assert f"{metric_label(name)} {metric_value(name, value)}" == shown


def test_all_metrics_but_the_known_scores_are_shares() -> None:
    """A new metric must say which it is: see `_SHARES`."""
    own = {name for name in metrics.names() if "seqgen/metrics/" in metrics.where(name)}
    assert {name for name in own if not is_share(name)} == {"bleu", "chrf"}


def test_counts_are_no_figures() -> None:
    assert measure_value("tokens", 25147) == "25,147"
    assert measure_value("unknown_share", 0.03) == "3.0 %"
    assert measure_value("perplexity", 2.0) == "2.000"
