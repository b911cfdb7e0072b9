"""What a run looks like to a person: `write_report` makes its page and its pictures from its files.

`format` writes numbers and texts, `charts` draws; `run_files` reads a run, `analyses` looks into its
texts, `curves` and `run_report` make its pictures and its page, whose templates are in `templates/`.
"""

from seqgen.reports.format import (
    brief_count,
    count,
    counted,
    duration,
    figure,
    metric_label,
    percent,
    share,
    visible,
)
from seqgen.reports.run_report import run_page, try_drawing, write_report

__all__ = [
    "brief_count",
    "count",
    "counted",
    "duration",
    "figure",
    "metric_label",
    "percent",
    "run_page",
    "share",
    "try_drawing",
    "visible",
    "write_report",
]
