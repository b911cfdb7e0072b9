"""What measurements and metrics are called, and how their values are written."""

from __future__ import annotations

from typing import Final

from seqgen.reports.quantities import count, figure, percent, share

# Key, what it is called, which way is better; other numbers follow under their own names.
MEASURES: Final = (
    ("bits_per_char", "bits per character", "lower"),
    ("bits_per_byte", "bits per byte", "lower"),
    ("nats_per_token", "nats per token", "lower"),
    ("perplexity", "perplexity per token", "lower"),
    ("accuracy", "accuracy per token", "higher"),
    ("tokens", "tokens", ""),
    ("examples", "answers", ""),
    ("unknown", "unknown tokens", ""),
    ("unknown_share", "share of unknown tokens", ""),
)

ARROWS: Final = {"lower": " \u2193", "higher": " \u2191"}
"""What stands behind a name to say which way is better."""

_WRITTEN: Final = {
    "accuracy": percent,
    "unknown_share": percent,
    "tokens": count,
    "examples": count,
    "unknown": count,
}

_METRICS: Final = {"bleu": "BLEU", "chrf": "chrF", "tag_scores": "macro F1 of tags"}

_SHARES: Final = frozenset(
    {
        "accuracy",
        "character_error_rate",
        "exact_match",
        "macro_recall",
        "phoneme_error_rate",
        "tag_accuracy",
        "tag_scores",
        "word_error_rate",
    }
)


def metric_label(name: str) -> str:
    """What a person calls the metric `name`."""
    return _METRICS.get(name, name.replace("_", " "))


def is_share(name: str) -> bool:
    """Whether the metric `name` is a share of one, which is shown in percent."""
    return name in _SHARES


def metric_value(name: str, value: float | None) -> str:
    """A value of the metric `name`: shares in percent, all else as a figure."""
    return share(value) if is_share(name) else figure(value)


def measure_value(key: str, value: float | None) -> str:
    """A value of what `MEASURES` names."""
    return _WRITTEN.get(key, figure)(value)
