"""The cell `variational_dropout`: masks that last, and where they are drawn again."""

import pytest
import torch

from seqgen.cells import VariationalState, cells
from seqgen.state import detach, leaves, rebuild, reorder

ROWS, TIME, INPUT, SIZE = 40, 5, 30, 50


def build(inner="gru", **options):
    torch.manual_seed(1)
    spec = {"name": "variational_dropout", "cell": {"name": inner, "hidden_size": SIZE}}
    return cells.build({**spec, **options}, input_size=INPUT)


def inputs(time=TIME):
    return torch.randn(ROWS, time, INPUT, generator=torch.Generator().manual_seed(2))


def assert_is_mask(mask, rate):
    """Zeros at about `rate`, all else the one value with which the mean is 1."""
    assert mask.unique().shape == (2,)
    zero = (mask == 0).float()
    assert abs(zero.mean() - rate) < 4 * (rate * (1 - rate) / mask.numel()) ** 0.5
    assert mask.max() == pytest.approx(1 / (1 - rate), rel=0.01)
    assert zero.mean(0).max() < 1  # rows differ
    assert zero.mean(1).max() < 1  # so do the places within a row


def test_masks_are_drawn_with_the_state():
    cell = build(input_dropout=0.25, dropout=0.5)
    _, of_inputs, of_outputs = state = cell.initial_state(ROWS)
    assert type(state) is VariationalState
    assert of_inputs.shape == (ROWS, INPUT)
    assert of_outputs.shape == (ROWS, SIZE)
    assert_is_mask(of_inputs, 0.25)
    assert_is_mask(of_outputs, 0.5)
    again = cell.initial_state(ROWS)
    assert not torch.equal(again.of_inputs, of_inputs)
    assert not torch.equal(again.of_outputs, of_outputs)


def test_in_evaluation_the_masks_are_ones():
    cell, xs = build().eval(), inputs()
    for mask in cell.initial_state(ROWS)[1:]:
        assert torch.equal(mask, torch.ones_like(mask))
    assert torch.equal(cell(xs)[0], cell.cell(xs)[0])


def test_one_mask_is_for_all_times():
    cell = build(dropout=0.5)
    outputs, state = cell(inputs())
    dropped = outputs == 0
    assert torch.equal(dropped, (state.of_outputs == 0).unsqueeze(1).expand_as(dropped))
    assert 0.4 < dropped.float().mean() < 0.6


@pytest.mark.parametrize("inner", ["gru", "gru_cell"])
def test_masks_fall_on_inputs_and_outputs(inner):
    cell, xs = build(inner), inputs()
    state = cell.initial_state(ROWS)
    wanted, last = cell.cell(xs * state.of_inputs.unsqueeze(1))
    found, after = cell(xs, state)
    torch.testing.assert_close(found, wanted * state.of_outputs.unsqueeze(1))
    torch.testing.assert_close(after.cell, last)


def test_what_happens_in_training_follows_from_the_state_alone():
    cell, xs = build(), inputs()
    state = cell.initial_state(ROWS)
    wanted, last = cell(xs, state)
    pieces, carried = [], state
    for piece in xs.split([2, 1, 2], 1):
        output, carried = cell(piece, carried)
        pieces.append(output)
    torch.testing.assert_close((torch.cat(pieces, 1), carried), (wanted, last))
    steps, carried = [], state
    for x in xs.unbind(1):
        output, carried = cell.step_input(x, carried)
        steps.append(output)
    torch.testing.assert_close((torch.stack(steps, 1), carried), (wanted, last))
    rows = torch.tensor([3, 0, 0])
    moved = cell(xs[rows], reorder(state, rows))
    torch.testing.assert_close(moved, reorder((wanted, last), rows))


def test_a_saved_state_has_its_masks():
    cell, xs = build(), inputs()
    _, state = cell(xs)
    saved = [leaf.clone() for leaf in leaves(detach(state))]
    wanted = cell(xs, state)
    put_back = rebuild(cell.initial_state(ROWS), saved)
    torch.testing.assert_close(cell(xs, put_back), wanted)


def test_renewing_draws_the_masks_again_and_keeps_the_rest():
    cell = build()
    _, state = cell(inputs())
    renewed = cell.renew(state)
    assert all(map(torch.equal, leaves(renewed.cell), leaves(state.cell)))
    assert not torch.equal(renewed.of_inputs, state.of_inputs)
    assert not torch.equal(renewed.of_outputs, state.of_outputs)
    assert_is_mask(renewed.of_outputs, 0.2)
    assert torch.equal(cell.eval().renew(state).of_outputs, torch.ones(ROWS, SIZE))


def test_gradients_reach_everything_in_training():
    cell, xs = build(), inputs().requires_grad_()
    _, state = cell(xs)
    assert not any(mask.requires_grad for mask in state[1:])
    outputs, state = cell(xs)
    outputs.square().sum().backward()
    assert all(each.grad.any() for each in cell.parameters())
    gone = (state.of_inputs == 0).unsqueeze(1).expand_as(xs)
    assert torch.equal(xs.grad == 0, gone)


def test_a_rate_of_zero_has_no_mask():
    cell, xs = build(input_dropout=0, dropout=0), inputs()
    assert torch.equal(cell(xs)[0], cell.cell(xs)[0])


def test_masks_take_the_type_of_the_weights_and_are_no_weights():
    cell = build().double()
    assert {leaf.dtype for leaf in leaves(cell.initial_state(2))} == {torch.float64}
    assert all(name.startswith("cell.") for name in cell.state_dict())
    with torch.autocast("cpu", torch.bfloat16):
        assert build("lstm")(inputs())[0].dtype == torch.bfloat16


def test_a_mask_of_another_width_is_refused():
    cell = build()
    state = cell.initial_state(ROWS)
    for wrong in (
        state._replace(of_inputs=state.of_outputs),
        state._replace(of_outputs=state.of_inputs),
        state._replace(cell=None),
        state[:2],
        state.of_inputs,
    ):
        with pytest.raises(ValueError, match="`state` must"):
            cell(inputs(), wrong)
