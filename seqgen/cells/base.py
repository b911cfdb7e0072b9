"""The contract of a cell: one step of recurrence over a batch-first state."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Annotated, Any, cast

import torch
from torch import Tensor, nn

from seqgen.errors import PluginError
from seqgen.registry import Registry, is_ours, place_of
from seqgen.state import State, leaves, outline, rebuild, select

# The shape of a cell's state: a ValueError that names what is wrong in one given from outside.


def checked_tensor(state: State, batch: int, hidden: int) -> Tensor:
    """`state`, which must be one tensor `[batch, hidden]`."""
    return _checked(state, "state", (batch, hidden))


def checked_parts(
    state: State, fields: tuple[str, ...], batch: int, hidden: int
) -> tuple[Tensor, ...]:
    """`state`, which must be a tuple with a tensor `[batch, hidden]` for each of `fields`."""
    if not isinstance(state, tuple) or len(state) != len(fields):
        raise ValueError(f"`state` must be a tuple of {', '.join(fields)}")
    for name, part in zip(fields, state, strict=True):
        _checked(part, f"state.{name}", (batch, hidden))
    return cast(tuple[Tensor, ...], state)


def _checked(tensor: State, name: str, shape: tuple[int, int]) -> Tensor:
    if not isinstance(tensor, Tensor) or tensor.shape != shape:
        found = list(tensor.shape) if isinstance(tensor, Tensor) else type(tensor).__name__
        raise ValueError(f"`{name}` must be {list(shape)}, but is {found}")
    return tensor


# The state of a cell within another cell's state: a ValueError where it is missing.


def require_inner(cell: Cell, state: State, place: str) -> None:
    """A ValueError where `state`, at `place` of the whole, is None though `cell` has a state.

    To the inner cell None would mean the initial state, and a fault would pass unseen.
    """
    if state is None and cell.initial_state(1) is not None:
        raise ValueError(f"`state` must have a state for each cell, but {place} has None")


# A first look at a cell that is not ours: one tiny step, before anything relies on it.


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


cells: Registry[Cell] = Registry("cell", supplied={"input_size"}, finishing=rehearsed)


class Cell(nn.Module, ABC):
    """One step of recurrence. A subclass sets `output_size` and defines two methods.

    Batch is dimension 0 of every tensor of the state, and a step keeps the structure and the shapes
    that the initial state has. Everything else (reading a sequence,
    rows of different length, carrying and reordering states) is derived from these two.
    """

    output_size: int

    @abstractmethod
    def initial_state(self, batch_size: int) -> State:
        """The state before the first step."""

    @abstractmethod
    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Read `x: [batch, input]` (or a slice of what `project` returned).

        Returns the output `[batch, output_size]` and the next state.
        """

    def project(self, xs: Tensor) -> Tensor:
        """The part of the step that does not need the state, for all times at once.

        `[batch, time, input] -> [batch, time, projected]`; the default passes `xs` on.
        """
        return xs

    def renew(self, state: State) -> State:
        """`state`, but with what stays for a whole sequence drawn again, such as a dropout mask.

        Training calls it where it carries a state from one window of a text to the next, so that
        each window has masks of its own. The default returns `state`: most cells draw nothing. A
        cell that owns other cells passes it on to them.
        """
        return state

    def summary(self, state: State) -> Tensor:
        """What of `state` another network may read, `[batch, n]` with a fixed n.

        The default has all its numbers, one tensor behind the other. A cell whose state has what
        means nothing to others (masks, a scale) leaves that out, here and in `state_from`.
        """
        floats = [leaf.flatten(1) for leaf in leaves(state) if leaf.is_floating_point()]
        if not floats:
            raise ValueError(f"the state of {type(self).__name__} has no numbers to read or set")
        return torch.cat(floats, 1)

    @property
    def summary_size(self) -> int:
        """The n of `summary`."""
        return self.summary(self.initial_state(1)).shape[1]

    def state_from(self, summary: Tensor) -> State:
        """The initial state, but for the numbers of `summary: [batch, n]`, which another network
        (an encoder's bridge) has worked out."""
        state = self.initial_state(summary.shape[0])
        filled, used = [], 0
        for leaf in leaves(state):
            size = leaf.shape[1:].numel() if leaf.is_floating_point() else 0
            numbers = summary[:, used : used + size]
            filled.append(numbers.reshape(leaf.shape).to(leaf.dtype) if size else leaf)
            used += size
        return rebuild(state, filled)

    def step_input(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """`project` and `step` for a single input `x: [batch, input]`."""
        return self.step(self.project(x.unsqueeze(1)).squeeze(1), state)

    def forward(
        self, xs: Tensor, state: State = None, lengths: Tensor | None = None
    ) -> tuple[Tensor, State]:
        """Read `xs: [batch, time, input]`, from the initial state where `state` is None.

        With `lengths: [batch]`, row i keeps the state that it has after `lengths[i]` inputs and
        its later outputs are zero. Returns outputs `[batch, time, output_size]` and the state.
        """
        batch, time, _ = xs.shape
        if state is None:
            state = self.initial_state(batch)
        if time == 0:
            return xs.new_zeros(batch, 0, self.output_size), state
        outputs = []
        for moment, x in enumerate(self.project(xs).unbind(1)):
            output, following = self.step(x, state)
            if lengths is not None:
                goes_on = lengths > moment
                following = select(goes_on, following, state)
                output = output.masked_fill(~goes_on.unsqueeze(1), 0)
            outputs.append(output)
            state = following
        return torch.stack(outputs, 1), state


CellFactory = Annotated[Callable[..., Cell], cells]
"""What a part that owns a cell takes: called with `input_size=`, it returns the cell."""
