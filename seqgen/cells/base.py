"""The contract of a cell: one step of recurrence over a batch-first state.

A *step* reads one input and the state, and returns an output and the next state. The part of
a step that needs no state is its *projection*, done for all times at once. A *summary* is the part
of a state that another network may read or set. `lengths` says where each row of a batch ends.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Annotated, Any, cast

import torch
from torch import Tensor, nn

from seqgen.fast import Route
from seqgen.registry import Registry, Renamed, blamed_on, is_ours, plugin_fault
from seqgen.state import State, leaves, outline, real, rebuild, select


def smoke_test(cell: Any, input_size: int) -> Any:
    """`cell`; if it comes from outside the package, after a step of two rows.

    Raises PluginError if the step fails, or returns what no cell may return. On the meta device,
    where there are shapes and no numbers, nothing is tried.
    """
    if is_ours(cell) or torch.empty(0).is_meta:
        return cell
    with (
        blamed_on(cell, "its first step", "cell"),
        torch.no_grad(),
        torch.random.fork_rng(devices=[]),
    ):
        training = cell.training
        _, fault = next(step_faults(cell.eval(), torch.randn(2, 1, input_size)), ("", ""))
        cell.train(training)
    if fault:
        raise plugin_fault(cell, fault, "cell")
    return cell


cells: Registry[Cell] = Registry("cell", supplied={"input_size"}, finishing=smoke_test)


Step = tuple[Tensor, State]
"""The output of a step, or the outputs of all, and the state after it."""

Tabulated = tuple[Tensor, Callable[..., Step]]
"""What `Cell.tabulated` returns: a table, and a step that reads rows of it."""

ReadAhead = Callable[[Tensor, State], tuple[Tensor, list[State]]]
"""From inputs of a single row, `[time, input]`, and its state to the outputs, `[time, output]`, and
the state after each."""


class Cell(nn.Module, ABC):
    """One step of recurrence. A subclass sets `output_size` and defines two methods.

    Batch is dimension 0 of every tensor of the state, and a step keeps the structure and the shapes
    that the initial state has. Everything else (reading a sequence, rows of different length,
    carrying and reordering states) is derived from these two.
    """

    output_size: int
    route: Route | None = None  # set by `take_fast_routes`

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        Renamed.adopt(cls)

    @abstractmethod
    def initial_state(self, batch_size: int) -> State:
        """The state before the first step."""

    @abstractmethod
    def step(self, x: Tensor, state: State) -> Step:
        """Read `x: [batch, input]` (or a slice of what `project` returned).

        Returns the output `[batch, output_size]` and the next state.
        """

    def project(self, xs: Tensor) -> Tensor:
        """The part of the step that does not need the state, for all times at once.

        `[batch, time, input] -> [batch, time, projected]`; the default passes `xs` on.
        """
        return xs

    def resample_masks(self, state: State) -> State:
        """`state`, with all that is drawn once a sequence drawn again, such as a dropout mask.

        Training calls it when it carries a state from one window of a text to the next, so that
        each window has its own masks. The default returns `state`: most cells draw nothing. A
        cell that owns other cells passes it on to them.
        """
        return state

    renew = Renamed("resample_masks")

    def summary(self, state: State) -> Tensor:
        """The part of `state` that another network may read, `[batch, n]` with a fixed n.

        The default has all its numbers, one tensor after the other. A cell whose state has parts
        that mean nothing to others (masks, a scale) leaves them out, here and in `state_from`.
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
        """The initial state with the numbers of `summary: [batch, n]`, which another network (an
        encoder's bridge) has computed."""
        state = self.initial_state(summary.shape[0])
        filled, used = [], 0
        for leaf in leaves(state):
            size = leaf.shape[1:].numel() if leaf.is_floating_point() else 0
            numbers = summary[:, used : used + size]
            filled.append(numbers.reshape(leaf.shape).to(leaf.dtype) if size else leaf)
            used += size
        return rebuild(state, filled)

    def step_input(self, x: Tensor, state: State) -> Step:
        """`project` and `step` for a single input `x: [batch, input]`."""
        return self.step(self.project(x.unsqueeze(1)).squeeze(1), state)

    def tabulated(self, inputs: Tensor, rest_size: int = 0) -> Tabulated:
        """For generation, where the same `inputs: [n, size]` come again and again: what of a step
        follows from each of them alone, `[n, ...]`, and a step that reads rows of that.

        The step is called with rows and state. If `rest_size` is not 0, the cell's inputs go on
        with so many numbers that are new at each step, and it is called with rows, state and these,
        `[batch, rest_size]`. Good until the weights change, and without dropout. The default is
        what `project` makes; where there is a rest, the inputs themselves.
        """
        if rest_size:
            return inputs, lambda x, state, rest: self.step_input(torch.cat([x, rest], 1), state)
        return self.project(inputs.unsqueeze(1)).squeeze(1), self.step

    def reading_ahead(self) -> ReadAhead | None:
        """For generation: how to read a few inputs at once and keep the state after each, if the
        cell can do so faster than by steps. Good until the weights change, and without dropout.
        By default it cannot: most of what a cell does waits for the state before it."""
        return None

    @property
    def is_derivable(self) -> bool:
        """Whether `forward` is no faster than what `step` and a fast route make of it."""
        return type(self).forward is Cell.forward

    def forward(self, xs: Tensor, state: State = None, lengths: Tensor | None = None) -> Step:
        """Read `xs: [batch, time, input]`, from the initial state where `state` is None.

        With `lengths: [batch]`, row i keeps the state that it has after `lengths[i]` inputs and
        its later outputs are zero. They may be on the CPU while `xs` are not: then no cell waits
        for a GPU to know them. Returns outputs `[batch, time, output_size]` and the state.
        """
        batch, time, _ = xs.shape
        if state is None:
            state = self.initial_state(batch)
        if time == 0:
            return xs.new_zeros(batch, 0, self.output_size), state
        found = self.route and self.route.read(self, self.loop, xs, state, lengths)
        return found or self.loop(xs, state, lengths)

    def loop(self, xs: Tensor, state: State, lengths: Tensor | None = None) -> Step:
        """As `forward`, one step after the other; `xs` have one time at least."""
        if lengths is not None:
            lengths = lengths.to(xs.device, non_blocking=True)
        outputs = []
        for t, x in enumerate(self.project(xs).unbind(1)):
            output, following = self.step(x, state)
            if lengths is not None:
                goes_on = lengths > t
                following = select(goes_on, following, state)
                output = output.masked_fill(~goes_on.unsqueeze(1), 0)
            outputs.append(output)
            state = following
        return torch.stack(outputs, 1), state


def read_by_steps(step: Callable[[Tensor, State], Step]) -> ReadAhead:
    """Reads one input after the other."""

    def read(xs: Tensor, state: State) -> tuple[Tensor, list[State]]:
        outputs, states = [], []
        for x in torch.split(xs, 1):
            output, state = step(x, state)
            outputs.append(output)
            states.append(state)
        return torch.cat(outputs), states

    return read


def take_fast_routes(model: nn.Module) -> dict[str, Route]:
    """Let each cell in `model` that can read sequences by a fast route do so from now on.

    Returns the routes by the cells' names in the model.
    """
    found = {}
    for name, module in model.named_modules():
        if getattr(module, "is_derivable", False):
            cell = cast(Cell, module)
            found[name] = cell.route = Route()
    return found


CellFactory = Annotated[Callable[..., Cell], cells]
"""What a part that owns a cell takes: called with `input_size=`, it returns the cell."""


# What a state must be: ValueErrors for a state given from outside, which a kernel may crash on.


def checked_tensor(state: State, batch: int, size: int, name: str = "state") -> Tensor:
    """`state`. Raises ValueError unless it is one tensor `[batch, size]`."""
    if not isinstance(state, Tensor) or state.shape != (batch, size):
        found = list(state.shape) if isinstance(state, Tensor) else type(state).__name__
        raise ValueError(f"`{name}` must be {[batch, size]}, but is {found}")
    return state


def checked_parts(
    state: State, fields: tuple[str, ...], batch: int, size: int
) -> tuple[Tensor, ...]:
    """`state`. Raises ValueError unless it is a tuple with a tensor `[batch, size]` for each of
    `fields`."""
    if not isinstance(state, tuple) or len(state) != len(fields):
        raise ValueError(f"`state` must be a tuple of {', '.join(fields)}")
    for name, part in zip(fields, state, strict=True):
        checked_tensor(part, batch, size, f"state.{name}")
    return cast(tuple[Tensor, ...], state)


def require_inner(cell: Cell, state: State, place: str) -> None:
    """Raises ValueError if `state`, at `place` of the whole, is None though `cell` has a state.

    To the inner cell None would mean the initial state, and a fault would pass unseen.
    """
    if state is None and cell.initial_state(1) is not None:
        raise ValueError(f"`state` must have a state for each cell, but {place} has None")


def masked(outputs: Tensor, lengths: Tensor) -> Tensor:
    """`outputs: [batch, time, output]`, zero after each row's length."""
    after = ~real(lengths.to(outputs.device, non_blocking=True), outputs.shape[1])
    return outputs.masked_fill(after.unsqueeze(2), 0)


# What a step must return. The names of these laws are those of `seqgen.testing`.

RETURNS_TWO = "a step returns an output and a state"
BATCH_FIRST = "batch is dimension 0 of the state"
SAME_SHAPE = "the state keeps its shape"
AS_WIDE = "outputs are as wide as declared"
FINITE = "all numbers are finite"


def step_faults(cell: Any, xs: Tensor) -> Iterator[tuple[str, str]]:
    """Each fault of the initial state and of a step for each of `xs: [batch, time, input]`, as the
    law that is broken and a sentence. What raises is not caught."""
    batch, first = len(xs), cell.initial_state(len(xs))
    yield from _state_faults(first, batch, "`initial_state`", "begin with zeros, say")
    state = first
    for x in xs.unbind(1):
        result = cell.step_input(x, state)
        wanted = [batch, cell.output_size]
        if not isinstance(result, tuple) or len(result) != 2:
            says = f"`step` must return the output {wanted} and the next state, but returned "
            yield RETURNS_TWO, f"{says}{outline(result)}; end it with `return output, state`"
            return
        output, state = result
        if not isinstance(output, Tensor) or list(output.shape) != wanted:
            law = AS_WIDE if isinstance(output, Tensor) else RETURNS_TWO
            says = f"the output of `step` must be {wanted}, but is {outline(output)}"
            yield law, f"{says}; make it as wide as `output_size` says"
        if outline(state) != outline(first):
            says = f"`step` returned the state {outline(state)}, but `initial_state` made "
            says += f"{outline(first)}: a step must keep the structure, the shapes and the dtypes"
            yield SAME_SHAPE, f"{says} of the state"
        advice = "look for a division, a root or a logarithm"
        yield from _state_faults(state, batch, "`step`", advice)
        if isinstance(output, Tensor):
            yield from _not_finite(output, "the output of `step`", advice)


def _state_faults(state: Any, batch: int, method: str, advice: str) -> Iterator[tuple[str, str]]:
    """The faults of what should be a state from `method`, part by part."""
    if isinstance(state, tuple):
        for part in state:
            yield from _state_faults(part, batch, method, advice)
    elif isinstance(state, Tensor):
        if state.dim() == 0 or state.shape[0] != batch:
            says = f"for a batch of {batch} {method} returned a state tensor of "
            says += f"{list(state.shape)}: batch must be dimension 0 of every tensor of the state"
            yield BATCH_FIRST, f"{says}, so make it [{batch}, ...]"
        yield from _not_finite(state, f"the state from {method}", advice)
    elif state is not None:
        says = f"the state from {method} has a {type(state).__name__} in it: a state is a tensor,"
        yield RETURNS_TWO, f"{says} a tuple of states, or None"


def _not_finite(tensor: Tensor, what: str, advice: str) -> Iterator[tuple[str, str]]:
    if not tensor.isfinite().all():
        kind = "NaN" if tensor.isnan().any() else "infinite numbers"
        yield FINITE, f"{what} has {kind} for small inputs; {advice}"
