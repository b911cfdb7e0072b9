"""Metrics, numbers that say how good a model is. Each takes sums and returns plain floats."""

from seqgen.metrics.likelihood import Tally, likelihood

__all__ = ["Tally", "likelihood"]
