"""What was measured on held-out data: which part says most, and what it is called."""

from __future__ import annotations

from seqgen.reports.fields import Record, number, record
from seqgen.reports.quantities import count
from seqgen.reports.run_files import RunFiles
from seqgen.reports.series import best_step

PARTS = (("test", "test"), ("valid", "validation"))


def concluded(run: RunFiles) -> tuple[Record, str]:
    """The last part that a finished run measured, whose answers it wrote down, and its name."""
    for part, name in PARTS:
        if measured := record(run.result, part):
            return measured, name
    return {}, ""


def held_out(run: RunFiles) -> tuple[Record, str]:
    """The most telling measurement there is, be it of the best validation, and what it is of."""
    measured, name = concluded(run)
    best = best_step(run)
    if measured or best is None:
        return measured, name
    found = next(event for event in run.valid if number(event, "step") == best)
    return found, f"validation, step {count(best)}"
