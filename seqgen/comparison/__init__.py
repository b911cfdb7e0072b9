"""Comparisons: the same inputs decoded in many ways, and what each costs and gives.

A measure is added in `measures`, a metric in `seqgen.metrics`. Reports read the document alone.
"""

from seqgen.comparison.compare import (
    applicable,
    check_for_runs,
    check_free,
    compare,
    dry_run_decoders,
    write,
)
from seqgen.comparison.decode import Comparison, Progress
from seqgen.comparison.document import PAGE, Document, Measure, document_text, read_document
from seqgen.comparison.page import write_charts, write_comparison
from seqgen.comparison.plan import Plan, Strategy
from seqgen.comparison.plots import every_chart, trade_offs
from seqgen.comparison.results import Results, terminal_rows
from seqgen.comparison.systems import PlanSource, System, plan_schema, systems_of
