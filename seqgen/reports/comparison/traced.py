"""Traces: what some strategies considered, kept and dropped for the same inputs."""

from __future__ import annotations

from seqgen.reports.comparison.document import Comparison


def traced(comparison: Comparison) -> str:
    """The section, empty where nothing was traced."""
    return ""
