"""A first look at a cell that is not ours: one tiny step, before anything relies on it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from seqgen.callables import is_ours, place_of
from seqgen.errors import PluginError
from seqgen.state import outline

ROWS = 2


def rehearsed(cell: Any, input_size: int) -> Any:
    """`cell`; if it comes from outside the package, after a step of two rows.

    Errors: PluginError where the step fails, or returns what no cell may return. Where shapes are
    all that there is (the meta device), nothing is tried.
    """
    if is_ours(cell) or torch.empty(0).is_meta:
        return cell
    place = place_of(type(cell))
    name = f"the cell {type(cell).__name__} ({place})"
    more = f" (seqgen check {place.rpartition(':')[0]} says more)"
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            training = cell.training
            fault = _fault(cell.eval(), input_size)
            cell.train(training)
    except Exception as error:  # someone else's code
        reason = " ".join(str(error).split())
        message = f"{name}: its first step raised {type(error).__name__}: {reason}{more}"
        raise PluginError(message) from error
    if fault:
        raise PluginError(f"{name}: {fault}{more}")
    return cell


def _fault(cell: Any, input_size: int) -> str:
    """What is wrong with a step of `cell`, if anything."""
    first = cell.initial_state(ROWS)
    fault = _fault_of_state(first)
    if fault:
        return f"the state that `initial_state({ROWS})` returned {fault}"
    result = cell.step_input(torch.randn(ROWS, input_size), first)
    if not isinstance(result, tuple) or len(result) != 2:
        shape = [ROWS, cell.output_size]
        return (
            f"`step` must return the output {shape} and the state, but returned {outline(result)}"
        )
    output, following = result
    if not isinstance(output, Tensor) or output.shape != (ROWS, cell.output_size):
        wanted = [ROWS, cell.output_size]
        return f"the output of `step` must be {wanted}, but is {outline(output)}"
    if outline(following) != outline(first):
        return f"the state behind `step` must be {outline(first)}, but is {outline(following)}"
    fault = _fault_of_state(following)
    if fault:
        return f"the state that `step` returned {fault}"
    return "" if output.isfinite().all() else "the output of `step` is not finite (NaN or infinite)"


def _fault_of_state(state: object) -> str:
    """What keeps `state` from being one, if anything."""
    if isinstance(state, tuple):
        faults = [_fault_of_state(part) for part in state]
        return next(filter(None, faults), "")
    if state is None:
        return ""
    if not isinstance(state, Tensor):
        return f"has a {type(state).__name__} in it, but must be tensors, tuples and None"
    if state.dim() == 0 or state.shape[0] != ROWS:
        return f"has a tensor of {list(state.shape)}, but batch must be dimension 0: [{ROWS}, ...]"
    return "" if state.isfinite().all() else "is not finite (NaN or infinite)"
