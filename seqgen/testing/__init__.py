"""The conformance checks: does a part keep the contract of its kind?

from seqgen.testing import check_cell
check_cell(MyCell, hidden_size=4).require()
"""

from seqgen.testing.cell import check_cell
from seqgen.testing.decoder import check_decoder
from seqgen.testing.head import check_head
from seqgen.testing.laws import Finding, Law, Report
from seqgen.testing.tokenizer import check_tokenizer

__all__ = [
    "Finding",
    "Law",
    "Report",
    "check_cell",
    "check_decoder",
    "check_head",
    "check_tokenizer",
]
