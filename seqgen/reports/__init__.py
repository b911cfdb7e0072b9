"""What a run looks like to a person: `write_report` makes a page and pictures from its files.

`format` writes numbers and texts, and pages from `templates/`; `charts` draws. `run_files` reads a
run, `analyses` looks into its texts, `curves` are its pictures, `run_report` is its page.
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
