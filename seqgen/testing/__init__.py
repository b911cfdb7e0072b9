"""The conformance checks: does a part keep the contract of its kind?

from seqgen.testing import check_cell
check_cell(MyCell, hidden_size=4).require()
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from seqgen.testing.attention import check_attention
    from seqgen.testing.cell import check_cell
    from seqgen.testing.constraint import check_constraint
    from seqgen.testing.dataset import check_data
    from seqgen.testing.decoder import check_decoder
    from seqgen.testing.draft import check_draft
    from seqgen.testing.embedding import check_embedding
    from seqgen.testing.encoder import check_encoder
    from seqgen.testing.head import check_head
    from seqgen.testing.laws import Finding, Law, Report
    from seqgen.testing.metric import check_metric
    from seqgen.testing.model import check_model
    from seqgen.testing.tokenizer import check_tokenizer
    from seqgen.testing.tracker import check_tracker
    from seqgen.testing.truncation import check_truncation

__all__ = [
    "Finding",
    "Law",
    "Report",
    "check_attention",
    "check_cell",
    "check_constraint",
    "check_data",
    "check_decoder",
    "check_draft",
    "check_embedding",
    "check_encoder",
    "check_head",
    "check_metric",
    "check_model",
    "check_tokenizer",
    "check_tracker",
    "check_truncation",
]


def __getattr__(name: str) -> Any:
    """Each at its first use: reading a report does not import torch."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = name.removeprefix("check_") if name.startswith("check_") else "laws"
    module = {"data": "dataset"}.get(module, module)  # no two modules share a name
    return getattr(import_module(f"{__name__}.{module}"), name)
