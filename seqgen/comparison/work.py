"""Work: what a system costs, counted and not by the clock."""

from __future__ import annotations

from seqgen.comparison.measures import Measure, Values
from seqgen.comparison.produced import Produced

MEASURES = (
    Measure(
        "rows_per_input",
        "rows per input",
        "work",
        "lower",
        "rows",
        "How many rows (paths, each for one token) the model read for an input: rows of all steps "
        "divided by inputs and seeds; the same on every machine, unlike seconds.",
    ),
)


def work(produced: Produced) -> Values:
    """The rows for an input, the mean over inputs and seeds; it is not known seed by seed."""
    inputs = sum(len(outputs) for outputs in produced.outputs)
    return {"rows_per_input": {"value": produced.rows / inputs}} if inputs else {}
