"""What a comparison looks like to a person, made from its compare.json alone."""

from seqgen.reports.comparison.rows import terminal_rows
from seqgen.reports.comparison.write import write_comparison

__all__ = ["terminal_rows", "write_comparison"]
