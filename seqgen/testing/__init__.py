"""The conformance checks: does a part keep the contract of its kind?

from seqgen.testing import check_cell
check_cell(MyCell, hidden_size=4).require()
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from seqgen.testing.cell import check_cell
    from seqgen.testing.decoder import check_decoder
    from seqgen.testing.head import check_head
    from seqgen.testing.laws import Finding, Law, Report
    from seqgen.testing.tokenizer import check_tokenizer
    from seqgen.testing.truncation import check_truncation

__all__ = [
    "Finding",
    "Law",
    "Report",
    "check_cell",
    "check_decoder",
    "check_head",
    "check_tokenizer",
    "check_truncation",
]


def __getattr__(name: str) -> Any:
    """Each at its first use: reading a report does not import torch."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = name.removeprefix("check_") if name.startswith("check_") else "laws"
    return getattr(import_module(f"{__name__}.{module}"), name)
