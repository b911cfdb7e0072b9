"""The state of a cell within another cell's state: a ValueError where it is missing."""

from __future__ import annotations

from seqgen.cells.base import Cell
from seqgen.state import State


def require_inner(cell: Cell, state: State, place: str) -> None:
    """A ValueError where `state`, at `place` of the whole, is None though `cell` has a state.

    To the inner cell None would mean the initial state, and a fault would pass unseen.
    """
    if state is None and cell.initial_state(1) is not None:
        raise ValueError(f"`state` must have a state for each cell, but {place} has None")
