"""The laws of cells, and `check_cell`, which tries them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from seqgen.cells import Cell, cells
from seqgen.state import State, detach, leaves, map_state, outline, reorder, select
from seqgen.testing.cell_case import BATCH, TIME, CellCase, repeated_step
from seqgen.testing.cell_gradients import WEIGHT_LAWS
from seqgen.testing.laws import BreachError, Law, Report, Watch, try_laws, unwatched
from seqgen.testing.same import named, require_finite, require_same, require_shape
from seqgen.testing.saving import require_registered, require_saved
from seqgen.testing.small_parts import BUILT, require_contract, small_part


def check_cell(
    cell: object, *, input_size: int = 3, watch: Watch = unwatched, **options: Any
) -> Report:
    """Try the laws on a cell: a registered name, a mapping, a class or another callable.

    `options` are the cell's own; sizes are small where they say nothing. The report's `require`
    makes a test of it: `check_cell(MyCell).require()`.
    """
    name, factory = small_part(cells, cell, options)
    return try_laws(name, CELL_LAWS, CellCase(factory, input_size), watch)


def _is_a_cell(case: CellCase) -> None:
    cell = case.make()
    require_contract(cell, Cell)
    size = getattr(cell, "output_size", None)
    if not isinstance(size, int) or size < 1:
        raise BreachError(
            f"`output_size` must be the width of the output, but is {named(size)}; "
            "set self.output_size in the constructor"
        )


def _step_gives_two(case: CellCase) -> None:
    cell, x = case.make(), case.inputs()[:, 0]
    state = cell.initial_state(BATCH)
    _require_state(state, "`initial_state`")
    try:
        result: Any = cell.step_input(x, state)
    except Exception:
        _require_batch_first("`initial_state`", state, BATCH)  # that may be why
        raise
    if not isinstance(result, tuple) or len(result) != 2:
        raise BreachError(
            f"`step` must return the output and the next state, but returned {named(result)}; "
            "end it with `return output, state`"
        )
    if not isinstance(result[0], Tensor):
        raise BreachError(f"the output of `step` must be a tensor, but is {named(result[0])}")
    _require_state(result[1], "`step`")


def _batch_first(case: CellCase) -> None:
    cell = case.make()
    for batch in (BATCH, 1):
        first = cell.initial_state(batch)
        _, following = cell.step_input(case.inputs(batch=batch)[:, 0], first)
        for where, state in (("`initial_state`", first), ("`step`", following)):
            _require_batch_first(where, state, batch)


def _require_batch_first(where: str, state: State, batch: int) -> None:
    for leaf in leaves(state):
        if leaf.dim() == 0 or leaf.shape[0] != batch:
            raise BreachError(
                f"for a batch of {batch} {where} returned a state tensor of {list(leaf.shape)}: "
                "batch must be dimension 0 of every tensor of the state, so make it "
                f"[{batch}, ...]"
            )


def _state_keeps_its_shape(case: CellCase) -> None:
    cell = case.make()
    first = cell.initial_state(BATCH)
    _, following = cell.step_input(case.inputs()[:, 0], first)
    wanted, found = outline(first), outline(following)
    if wanted != found:
        raise BreachError(
            f"`step` returned the state {found}, but `initial_state` made {wanted}: "
            "a step must keep the structure, the shapes and the dtypes of the state"
        )


def _output_size(case: CellCase) -> None:
    cell, xs = case.make(), case.inputs()
    says = "; make it as wide as `output_size` says"
    output, state = cell.step_input(xs[:, 0], cell.initial_state(BATCH))
    require_shape(output, (BATCH, cell.output_size), "the output of `step`", says)
    result: Any = cell(xs, state)
    if not isinstance(result, tuple) or len(result) != 2:
        raise BreachError(f"`forward` must return outputs and state, but returned {named(result)}")
    shape = (BATCH, TIME, cell.output_size)
    require_shape(result[0], shape, "the outputs of `forward`", says)


def _finite(case: CellCase) -> None:
    cell, says = case.make(), "for small inputs; look for a division, a root or a logarithm"
    first = cell.initial_state(BATCH)
    require_finite(first, "the state from `initial_state`", "; begin with zeros, say")
    outputs, state = repeated_step(cell, case.inputs(), first)
    require_finite(outputs, "the output", says)
    require_finite(state, "the state", says)


def _same_twice(case: CellCase) -> None:
    cell, xs = case.make(), case.inputs()
    says = (
        "the same input gave another output in evaluation mode; draw nothing at random unless "
        "self.training, and keep nothing between calls but the state"
    )
    require_same(cell(xs), cell(xs), says, 0.0)


def _no_state_is_the_initial_state(case: CellCase) -> None:
    cell, xs = case.make(), case.inputs()
    says = "`forward` without a state must begin with `initial_state`"
    require_same(cell(xs), cell(xs, cell.initial_state(BATCH)), says)


def _forward_is_repeated_step(case: CellCase) -> None:
    cell, xs = case.make(), case.inputs()
    state = case.some_state(cell)
    says = "`forward` differs from `step`, taken for each input in turn; mend the one or the other"
    require_same(cell(xs, state), repeated_step(cell, xs, state), says)


def _forward_stops_at_lengths(case: CellCase) -> None:
    cell, xs, lengths = case.make(), case.inputs(), torch.tensor([0, 1, TIME, 3])
    state = case.some_state(cell)
    outputs, last = cell(xs, state, lengths)
    behind = torch.arange(TIME) >= lengths.unsqueeze(1)
    if outputs[behind].any():
        raise BreachError("with `lengths`, the outputs behind the length of a row must be zero")
    wanted = []
    for moment, x in enumerate(xs.unbind(1)):
        output, following = cell.step_input(x, state)
        state = select(lengths > moment, following, state)
        wanted.append(output.masked_fill(behind[:, moment : moment + 1], 0))
    says = "with `lengths`, `forward` must keep the state that a row has after its last input"
    require_same((outputs, last), (torch.stack(wanted, 1), state), says)


def _pieces_are_the_whole(case: CellCase) -> None:
    cell, xs = case.make(), case.inputs()
    outputs, state = [], None
    for piece in torch.split(xs, [2, 1, TIME - 3], 1):
        output, state = cell(piece, state)
        outputs.append(output)
    says = "a sequence in pieces, with the state carried on, is another than the whole"
    says += "; all that a later step needs must be in the state"
    require_same((torch.cat(outputs, 1), state), cell(xs), says)


def _no_inputs_change_nothing(case: CellCase) -> None:
    cell = case.make()
    state = case.some_state(cell)
    outputs, after = cell(case.inputs(time=0), state)
    require_shape(outputs, (BATCH, 0, cell.output_size), "`forward` of no inputs", "")
    require_same(after, state, "`forward` of no inputs changed the state", 0.0)


def _rows_alone(case: CellCase) -> None:
    cell = case.make()
    advice = "a row depends on others of its batch; let nothing reduce over dimension 0"
    state = case.some_state(cell)
    outputs, last = cell(case.inputs(), state)
    for row in range(BATCH):
        here = torch.tensor([row])
        alone = cell(case.inputs()[here], reorder(state, here))
        require_same(alone, (outputs[here], reorder(last, here)), advice)
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
    require_same(moved, reorder(cell.step_input(x, state), rows), says)


def _state_is_not_written_into(case: CellCase) -> None:
    cell = case.make()
    state = case.some_state(cell)
    before = map_state(Tensor.clone, state)
    cell.step_input(case.inputs()[:, 0], state)
    cell(case.inputs(), state)
    says = "`step` wrote into the state that it was given; make a new tensor (no `+=`, no `add_`)"
    require_same(state, before, says, 0.0)


def _saved_and_loaded(case: CellCase) -> None:
    xs = case.inputs()
    require_saved(case.make, lambda cell: detach(cell(xs)))


def _require_state(state: object, where: str) -> None:
    """A breach unless `state` is made of tensors, tuples and None."""
    if isinstance(state, tuple):
        for part in state:
            _require_state(part, where)
    elif state is not None and not isinstance(state, Tensor):
        raise BreachError(
            f"the state from {where} has {named(state)} in it: a state is a tensor, "
            "a tuple of states, or None"
        )


_BUILT = ("is a cell",)
_STEPS = (*_BUILT, "a step returns an output and a state")
_SOUND = (
    *_STEPS,
    "batch is dimension 0 of the state",
    "the state keeps its shape",
    "outputs are as wide as declared",
    "all numbers are finite",
)
_STABLE = (
    *_SOUND,
    "what it learns is registered",
    "the given state is not written into",
    "the same twice in evaluation mode",
)
_READS = ("no state is the initial state", "forward is the repeated step")
_ALONE = ("a row alone is the row in a batch",)
_SAME = (*_STABLE, *_READS)
_STEP = (
    "`initial_state(batch_size)` and `step(x, state)` must work for any batch, with "
    f"`x: [batch, input]`, here [{BATCH}, input_size]"
)
_FORWARD = "`forward` must take a state, and lengths, and any number of inputs"

CELL_LAWS: tuple[Law[CellCase], ...] = (
    Law(_SOUND[0], _is_a_cell, BUILT.format("`input_size=`")),
    Law(_SOUND[1], _step_gives_two, _STEP, _BUILT),
    Law(_SOUND[2], _batch_first, _STEP, _STEPS),
    Law(_SOUND[3], _state_keeps_its_shape, _STEP, _SOUND[:3]),
    Law(_SOUND[4], _output_size, _FORWARD, _STEPS),
    Law(_SOUND[5], _finite, _STEP, _SOUND[:4]),
    Law(_STABLE[6], lambda case: require_registered(case.make()), _STEP, _SOUND),
    Law(_STABLE[7], _state_is_not_written_into, _STEP, _SOUND),
    Law(_STABLE[8], _same_twice, _FORWARD, _SOUND),
    Law(_READS[0], _no_state_is_the_initial_state, _FORWARD, _STABLE),
    Law(_READS[1], _forward_is_repeated_step, _FORWARD, _STABLE),
    Law("forward stops each row at its length", _forward_stops_at_lengths, _FORWARD, _SAME),
    Law("pieces are the whole", _pieces_are_the_whole, _FORWARD, _SAME),
    Law("no inputs change nothing", _no_inputs_change_nothing, _FORWARD, _SAME),
    Law(_ALONE[0], _rows_alone, _FORWARD, _STABLE),
    Law("rows may be moved about", _rows_move, _STEP, (*_STABLE, *_ALONE)),
    *(Law(name, test, says, (*_STABLE, *needs)) for name, test, says, needs in WEIGHT_LAWS),
    Law("weights are saved and loaded", _saved_and_loaded, _FORWARD, _STABLE),
)
