"""The laws of cells, and `check_cell`, which tries them.

A *case* is a cell on trial: how to build it, the inputs it reads and the states it may be in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from seqgen.cells import Cell, cells
from seqgen.cells import base as contract
from seqgen.fast import Call, Route, outcome
from seqgen.state import State, detach, leaves, map_state, real, reorder, select
from seqgen.testing import require
from seqgen.testing.laws import BreachError, Law, NotTriedError, Report, Watch, try_laws, unwatched
from seqgen.testing.require import BUILT, named, small_part

BATCH, TIME = 4, 6


@dataclass(frozen=True)
class CellCase:
    """How to build the cell, and the width of its input."""

    factory: Callable[..., Any]
    input_size: int

    def make(self, dtype: torch.dtype = torch.float32, seed: int = 1) -> Cell:
        """The cell with weights from `seed`, in evaluation mode."""
        torch.manual_seed(seed)
        cell: Cell = self.factory(input_size=self.input_size)
        return cell.to(dtype).eval()

    def inputs(
        self, dtype: torch.dtype = torch.float32, batch: int = BATCH, time: int = TIME
    ) -> Tensor:
        """Random inputs `[batch, time, input]`, always the same ones."""
        generator = torch.Generator().manual_seed(2)
        return torch.randn(batch, time, self.input_size, generator=generator, dtype=dtype)

    def some_state(self, cell: Cell, dtype: torch.dtype = torch.float32, batch: int = BATCH) -> Any:
        """A state that the cell may well be in: the one after two steps."""
        generator = torch.Generator().manual_seed(3)
        xs = torch.randn(batch, 2, self.input_size, generator=generator, dtype=dtype)
        return detach(repeated_step(cell, xs, cell.initial_state(batch))[1])


def repeated_step(cell: Cell, xs: Tensor, state: State) -> tuple[Tensor, State]:
    """What `forward` must equal."""
    outputs = []
    for x in xs.unbind(1):
        output, state = cell.step_input(x, state)
        outputs.append(output)
    return torch.stack(outputs, 1), state


def check_cell(
    cell: object, *, input_size: int = 3, watch: Watch = unwatched, **options: Any
) -> Report:
    """Try the laws on a cell: a registered name, a mapping, a class or another callable.

    `options` are the cell's own; sizes are small where they say nothing. The report's `require`
    makes a test of it: `check_cell(MyCell).require()`.
    """
    name, factory = small_part(cells, cell, options)
    return try_laws(name, CELL_LAWS, CellCase(factory, input_size), watch)


def fast_source(cell: object, *, input_size: int = 3, **options: Any) -> str:
    """The loops, forward and backward, that its fast route compiles, or why there are none."""
    name, factory = small_part(cells, cell, options)
    case = CellCase(factory, input_size)
    made = case.make().train()
    tensors = {**dict(made.named_parameters()), **dict(made.named_buffers())}
    try:
        from seqgen.fast.compiled import written_loops
        from seqgen.fast.derive import derive
        from seqgen.fast.elements import UnwritableError
        from seqgen.fast.trace import RefusedError
    except ImportError as error:
        return f"# {name}: {error}"
    try:
        first = made.initial_state(BATCH)
        call = Call(made, made.loop, case.inputs(), first, None, tensors)
        loops = written_loops(derive(call))
    except (RefusedError, UnwritableError) as error:
        return f"# {name} has no compiled loop: {error}"
    return "\n\n".join(f"# {name}\n{loop.source}" for loop in loops.values())


def _is_a_cell(case: CellCase) -> None:
    cell = case.make()
    require.contract(cell, Cell)
    size = getattr(cell, "output_size", None)
    if not isinstance(size, int) or size < 1:
        raise BreachError(
            f"`output_size` must be the width of the output, but is {named(size)}; "
            "set self.output_size in the constructor"
        )


def _sound_steps(case: CellCase, law: str) -> None:
    """A breach where a step breaks the law of that name, be it for many rows or for one."""
    for batch in (BATCH, 1):
        found: list[tuple[str, str]] = []
        try:
            for fault in contract.step_faults(case.make(), case.inputs(batch=batch)):
                found.append(fault)
                if fault[0] == law:
                    break
        except Exception:
            if not found:
                raise
            raise BreachError(found[0][1]) from None  # which may be why the step raised
        if found and found[-1][0] == law:
            raise BreachError(found[-1][1])


def _output_size(case: CellCase) -> None:
    _sound_steps(case, contract.AS_WIDE)
    cell = case.make()
    result: Any = cell(case.inputs())
    if not isinstance(result, tuple) or len(result) != 2:
        raise BreachError(f"`forward` must return outputs and state, but returned {named(result)}")
    shape, says = (BATCH, TIME, cell.output_size), "; make it as wide as `output_size` says"
    require.shape(result[0], shape, "the outputs of `forward`", says)


def _same_twice(case: CellCase) -> None:
    cell, xs = case.make(), case.inputs()
    says = (
        "the same input gave another output in evaluation mode; draw nothing at random unless "
        "self.training, and keep nothing between calls but the state"
    )
    require.same(cell(xs), cell(xs), says, 0.0)


def _no_state_is_the_initial_state(case: CellCase) -> None:
    cell, xs = case.make(), case.inputs()
    says = "`forward` without a state must begin with `initial_state`"
    require.same(cell(xs), cell(xs, cell.initial_state(BATCH)), says)


def _forward_is_repeated_step(case: CellCase) -> None:
    cell, xs = case.make(), case.inputs()
    state = case.some_state(cell)
    says = "`forward` differs from `step`, taken for each input in turn; fix one of them"
    require.same(cell(xs, state), repeated_step(cell, xs, state), says)


def _forward_stops_at_lengths(case: CellCase) -> None:
    cell, xs, lengths = case.make(), case.inputs(), torch.tensor([0, 1, TIME, 3])
    state = case.some_state(cell)
    outputs, last = cell(xs, state, lengths)
    after = ~real(lengths, TIME)
    if outputs[after].any():
        raise BreachError("with `lengths`, the outputs after the length of a row must be zero")
    wanted = []
    for t, x in enumerate(xs.unbind(1)):
        output, following = cell.step_input(x, state)
        state = select(lengths > t, following, state)
        wanted.append(output.masked_fill(after[:, t : t + 1], 0))
    says = "with `lengths`, `forward` must keep the state that a row has after its last input"
    require.same((outputs, last), (torch.stack(wanted, 1), state), says)


def _pieces_are_the_whole(case: CellCase) -> None:
    cell, xs = case.make(), case.inputs()
    outputs, state = [], None
    for piece in torch.split(xs, [2, 1, TIME - 3], 1):
        output, state = cell(piece, state)
        outputs.append(output)
    says = "a sequence in pieces, with the state carried on, is another than the whole"
    says += "; all that a later step needs must be in the state"
    require.same((torch.cat(outputs, 1), state), cell(xs), says)


def _no_inputs_change_nothing(case: CellCase) -> None:
    cell = case.make()
    state = case.some_state(cell)
    outputs, after = cell(case.inputs(time=0), state)
    require.shape(outputs, (BATCH, 0, cell.output_size), "`forward` of no inputs", "")
    require.same(after, state, "`forward` of no inputs changed the state", 0.0)


def _rows_alone(case: CellCase) -> None:
    cell = case.make()
    advice = "a row depends on others of its batch; let nothing reduce over dimension 0"
    state = case.some_state(cell)
    outputs, last = cell(case.inputs(), state)
    for row in range(BATCH):
        here = torch.tensor([row])
        alone = cell(case.inputs()[here], reorder(state, here))
        require.same(alone, (outputs[here], reorder(last, here)), advice)
    # In training, too, but there a cell may draw at random: so ask for the gradient.
    cell.train()
    xs = case.inputs().requires_grad_()
    found, after = repeated_step(cell, xs, state)
    rows = [each[0].sum() for each in (found, *leaves(after)) if each.is_floating_point()]
    total = torch.stack(rows).sum()
    if not total.requires_grad:  # another law says so
        return
    gradient = torch.autograd.grad(total, xs, allow_unused=True)[0]
    if gradient is not None and gradient[1:].any():
        raise BreachError(f"in training, {advice} (as batch normalisation does)")


def _rows_move(case: CellCase) -> None:
    cell, rows = case.make(), torch.tensor([3, 0, 0, 2, 1])
    x, state = case.inputs()[:, 0], case.some_state(cell)
    says = "a step after moving rows is another than moving them after it, so a search would "
    says += "follow the wrong path; keep all that belongs to a row in the state"
    moved = cell.step_input(x[rows], reorder(state, rows))
    require.same(moved, reorder(cell.step_input(x, state), rows), says)


def _a_row_of_the_table_is_an_input(case: CellCase) -> None:
    cell, rows = case.make(), torch.tensor([3, 0, 0, 2])
    inputs, state = case.inputs()[:, 0], case.some_state(cell)
    table, step = cell.tabulated(inputs)
    says = "the step of `tabulated` makes of a row of the table what `step` does not make of the "
    says += "input in that row"
    found = step(table.index_select(0, rows), state)
    require.same(found, cell.step_input(inputs[rows], state), says)


def _a_summary_makes_a_state(case: CellCase) -> None:
    cell = case.make()
    try:
        summary = cell.summary(case.some_state(cell))
    except ValueError as error:
        raise NotTriedError(str(error)) from None
    state = cell.state_from(summary)
    says = "the `summary` of what `state_from` made is not what that was given"
    require.same(cell.summary(state), summary, says)
    cell.step_input(case.inputs()[:, 0], state)


def _state_is_not_written_into(case: CellCase) -> None:
    cell = case.make()
    state = case.some_state(cell)
    before = map_state(Tensor.clone, state)
    cell.step_input(case.inputs()[:, 0], state)
    cell(case.inputs(), state)
    says = "`step` wrote into the state that it was given; make a new tensor (no `+=`, no `add_`)"
    require.same(state, before, says, 0.0)


def _saved_and_loaded(case: CellCase) -> None:
    xs = case.inputs()
    require.saved(case.make, lambda cell: detach(cell(xs)))


def _device(case: CellCase) -> None:
    cell = case.make().to("meta")
    if next(iter((*cell.parameters(), *cell.buffers())), None) is None:
        raise NotTriedError("the cell has no weights that could be elsewhere")
    xs = case.inputs().to("meta")

    def read() -> Iterator[tuple[str, State]]:
        state = cell.initial_state(BATCH)
        yield "the state from `initial_state`", state
        output, state = cell.step_input(xs[:, 0], state)
        yield "the output of `step`", output
        yield "the state from `step`", state
        yield "what `forward` returned", cell(xs)

    require.same_device(read, _ELSEWHERE)


def _double(case: CellCase) -> None:
    usual = torch.get_default_dtype()
    for weights, default in ((torch.float64, torch.float32), (torch.float32, torch.float64)):
        cell, xs = case.make(weights), case.inputs(weights)
        torch.set_default_dtype(default)
        try:
            first = cell.initial_state(BATCH)
            _require_dtype("the state from `initial_state`", first, weights)
            stepped, read = cell.step_input(xs[:, 0], first), cell(xs)
            _require_dtype("the output or the state of `step`", stepped, weights)
            _require_dtype("the output or the state of `forward`", read, weights)
        finally:
            torch.set_default_dtype(usual)


def _require_dtype(what: str, made: State, wanted: torch.dtype) -> None:
    for tensor in leaves(made):
        if tensor.is_floating_point() and tensor.dtype != wanted:
            raise BreachError(
                f"{what} is {tensor.dtype} where the weights are {wanted}; make tensors of the "
                "dtype and on the device of the weights, as `weight.new_zeros(...)` does"
            )


def _reach_all(case: CellCase) -> None:
    cell = case.make()
    cell.train()
    xs = case.inputs().requires_grad_()
    outputs, _ = cell(xs)
    # Weighted at random, for some sums are constant whatever the parameters are.
    (outputs * torch.randn(outputs.shape)).sum().backward()
    require.gradients(cell, xs, "the input")


def _right(case: CellCase) -> None:
    cell = case.make(torch.float64)
    if next(cell.parameters(), None) is None:
        raise NotTriedError("the cell has no parameters")
    state, lengths = case.some_state(cell, torch.float64, 2), torch.tensor([3, 1])
    xs = case.inputs(torch.float64, batch=2, time=3).requires_grad_()

    def read() -> tuple[Tensor, ...]:
        outputs, after = cell(xs, state, lengths)
        return (outputs, *(each for each in leaves(after) if each.is_floating_point()))

    trained = [each for each in cell.parameters() if each.requires_grad]
    if not _as_by_differences(read, (xs, *trained)):
        raise BreachError(
            "the gradients are not those of finite differences; look for .detach(), .data, "
            "rounding, or a backward of your own"
        )


def _fast_is_the_loop(case: CellCase) -> None:
    _require_fast(case, torch.float32, 1e-5, None)
    _require_fast(case, torch.float64, 1e-10, torch.tensor([TIME, 0, 1, 3]))


def _require_fast(
    case: CellCase, dtype: torch.dtype, tolerance: float, lengths: Tensor | None
) -> None:
    cell = case.make(dtype).train()
    if not cell.is_derivable:
        raise NotTriedError("it reads sequences by a `forward` of its own")
    route = Route(compiling=False, checking=False)

    def read(*given: Any) -> Any:
        found = route.read(cell, cell.loop, *given)
        if found is None:
            raise NotTriedError(f"it has no fast route: {route.describe()[0]}")
        return found

    xs, tensors = case.inputs(dtype).requires_grad_(), dict(cell.named_parameters())
    call = Call(cell, cell.loop, xs, cell.initial_state(BATCH), lengths, tensors)
    wanted, got = (
        tuple(each.detach() for each in outcome(call, way, backward=True) if each is not None)
        for way in (cell.loop, read)
    )
    says = "the fast route gives other values or gradients than `step` in a loop"
    require.same(got, wanted, says, tolerance)


def _as_by_differences(read: Callable[[], tuple[Tensor, ...]], given: Sequence[Tensor]) -> bool:
    """Whether the gradient of a random sum of what is read, along a random line, is its slope.

    As `torch.autograd.gradcheck` in its fast mode, but without the second that this takes to load.
    """
    lines = [torch.randn_like(each) for each in given]
    weights = [torch.randn_like(each) for each in read()]

    def total() -> Tensor:
        made = zip(read(), weights, strict=True)
        return torch.stack([(each * weight).sum() for each, weight in made]).sum()

    found = torch.autograd.grad(total(), given, allow_unused=True)
    pairs = zip(found, lines, strict=True)
    gradient = sum(float((each * line).sum()) for each, line in pairs if each is not None)
    ends, before = [], [each.detach().clone() for each in given]
    with torch.no_grad():
        for step in (1e-6, -1e-6):
            for each, start, line in zip(given, before, lines, strict=True):
                each.copy_(start + step * line)
            ends.append(float(total()))
    slope = (ends[0] - ends[1]) / 2e-6
    return abs(gradient - slope) <= 1e-5 + 1e-4 * abs(slope)


_MADE = "make tensors by `weight.new_zeros(...)` or `x.new_tensor(...)`, not by torch.zeros"
_ELSEWHERE = f"{_MADE}; keep constants by `register_buffer`"
_DOUBLE = f"it must work in float64 too: {_MADE}"
_GRADIENTS = "its outputs must be differentiable; change no tensor in place"
_STEP = (
    "`initial_state(batch_size)` and `step(x, state)` must work for any batch, with "
    f"`x: [batch, input]`, here [{BATCH}, input_size]"
)
_STATE_FROM = "`state_from(summary)` must make a state of as many rows as `summary: [batch, n]` has"
_FORWARD = "`forward` must take a state, and lengths, and any number of inputs"

_BUILT = ("is a cell",)
_STEPS = (*_BUILT, contract.RETURNS_TWO)
_SHAPED = (*_STEPS, contract.BATCH_FIRST, contract.SAME_SHAPE, contract.AS_WIDE)
_SOUND = (*_SHAPED, contract.FINITE)
_REGISTERED, _UNCHANGED = "what it learns is registered", "the given state is not written into"
_SAME_TWICE = "the same twice in evaluation mode"
_STABLE = (*_SOUND, _REGISTERED, _UNCHANGED, _SAME_TWICE)
_INITIAL, _REPEATED = "no state is the initial state", "forward is the repeated step"
_SAME = (*_STABLE, _INITIAL, _REPEATED)
_ALONE = "a row alone is the row in a batch"
_DEVICE, _FLOAT64 = "it works on any device", "it works in float64"
_REACH = "gradients reach every parameter"
_FAST = "the fast route gives what the loop gives"


def _step_law(law: str, needs: tuple[str, ...]) -> Law[CellCase]:
    return Law(law, partial(_sound_steps, law=law), _STEP, needs)


CELL_LAWS: tuple[Law[CellCase], ...] = (
    Law(_BUILT[0], _is_a_cell, BUILT.format("`input_size=`")),
    _step_law(contract.RETURNS_TWO, _BUILT),
    _step_law(contract.BATCH_FIRST, _STEPS),
    _step_law(contract.SAME_SHAPE, (*_STEPS, contract.BATCH_FIRST)),
    Law(contract.AS_WIDE, _output_size, _FORWARD, _STEPS),
    _step_law(contract.FINITE, (*_STEPS, contract.BATCH_FIRST, contract.SAME_SHAPE)),
    Law(_REGISTERED, lambda case: require.registered(case.make()), _STEP, _SOUND),
    Law(_UNCHANGED, _state_is_not_written_into, _STEP, _SOUND),
    Law(_SAME_TWICE, _same_twice, _FORWARD, _SOUND),
    Law(_INITIAL, _no_state_is_the_initial_state, _FORWARD, _STABLE),
    Law(_REPEATED, _forward_is_repeated_step, _FORWARD, _STABLE),
    Law("forward stops each row at its length", _forward_stops_at_lengths, _FORWARD, _SAME),
    Law("pieces are the whole", _pieces_are_the_whole, _FORWARD, _SAME),
    Law("no inputs change nothing", _no_inputs_change_nothing, _FORWARD, _SAME),
    Law(_ALONE, _rows_alone, _FORWARD, _STABLE),
    Law("rows may be moved about", _rows_move, _STEP, (*_STABLE, _ALONE)),
    Law("a row of its table is an input", _a_row_of_the_table_is_an_input, _STEP, _STABLE),
    Law("a summary makes a state", _a_summary_makes_a_state, _STATE_FROM, _STABLE),
    Law(_DEVICE, _device, _ELSEWHERE, _STABLE),
    Law(_FLOAT64, _double, _DOUBLE, (*_STABLE, _DEVICE)),
    Law(_REACH, _reach_all, _GRADIENTS, _STABLE),
    Law("gradients are right", _right, _DOUBLE, (*_STABLE, _FLOAT64, _REACH)),
    Law(_FAST, _fast_is_the_loop, _GRADIENTS, (*_STABLE, _FLOAT64, _REACH)),
    Law("weights are saved and loaded", _saved_and_loaded, _FORWARD, _STABLE),
)
