"""Metrics, which say how good a model is. To add one: subclass `Metric` and register it."""

from seqgen.metrics.base import Answer, Measured, Metric, MetricFactory, metrics
from seqgen.metrics.likelihood import Tally, likelihood

__all__ = ["Answer", "Measured", "Metric", "MetricFactory", "Tally", "likelihood", "metrics"]
