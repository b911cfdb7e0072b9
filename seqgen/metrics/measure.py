"""Several metrics at once: those that a recipe lists, by name, and what they say of answers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from seqgen.metrics.base import Answer, Measured, Metric
from seqgen.options import OptionError
from seqgen.registry import Part


def by_name(parts: Iterable[Part[Metric]]) -> dict[str, Metric]:
    """The metrics that a recipe lists, built, in that order.

    Errors: OptionError where a name comes twice, be it with other options: results go by name.
    """
    built: dict[str, Metric] = {}
    for part in parts:
        if part.name in built:
            message = f"'{part.name}' is there already; results go by name, so each can come once"
            raise OptionError(part.path, message)
        built[part.name] = part()
    return built


def measure(metrics: Mapping[str, Metric], answers: Sequence[Answer]) -> dict[str, Measured]:
    """What each of `metrics` says of the answers, by name.

    Errors: ValueError where there is no answer, or one has no reference.
    """
    return {name: metric.measure(answers) for name, metric in metrics.items()}
