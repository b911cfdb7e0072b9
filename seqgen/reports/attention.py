"""The attention of a run as its file has it: how much each output piece looked at each source."""

from __future__ import annotations

from dataclasses import dataclass

from seqgen.reports.fields import Record, as_number, items, records


@dataclass(frozen=True)
class Looked:
    """How much each piece of the output looked at each of the source: `weights[output][source]`."""

    source: list[str]
    output: list[str]
    weights: list[list[float]]


def read_attention(found: list[object]) -> tuple[tuple[Looked, ...], int]:
    """Those among `found` whose weights fit their pieces, and how much else there is."""
    read = [attention for each in records(found) if (attention := _attention(each))]
    return tuple(read), len(found) - len(read)


def _attention(found: Record) -> Looked | None:
    source, output = items(found, "source"), items(found, "output")
    rows = [
        [as_number(weight) for weight in row] if isinstance(row, list) else []
        for row in items(found, "weights")
    ]
    weights = [
        [weight for weight in row if weight is not None and 0 <= weight <= 1.001] for row in rows
    ]
    fits = len(weights) == len(output) and all(len(row) == len(source) for row in weights)
    if not source or not output or not fits:
        return None
    return Looked(_pieces(source), _pieces(output), weights)


def _pieces(found: list[object]) -> list[str]:
    return [piece if isinstance(piece, str) else "?" for piece in found]
