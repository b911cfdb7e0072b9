"""What runs look like to a person: `write_report` makes a page and pictures of a run's files.

`format` writes numbers and texts, and pages from `templates/`; `charts` draws. `run_files` reads a
run, `analyses` looks into its texts, `run_report` is its page. `traces`
shows how outputs were found, `unit_page` what units of a state do.
"""

from seqgen.errors import visible
from seqgen.reports.analyses import Marked, Unit, compare, mark_differences, output_unit
from seqgen.reports.format import (
    ARROWS,
    DASH,
    brief_count,
    count,
    counted,
    duration,
    figure,
    metric_label,
    render,
    share,
)
from seqgen.reports.run_files import Answer, read_run
from seqgen.reports.run_report import run_card, run_page, try_drawing, write_report
from seqgen.reports.traces import MOST_TRACES, decoder_label, trace_html, trace_page
from seqgen.reports.unit_page import unit_page

__all__ = ["trace_page", "unit_page", "write_report"]
