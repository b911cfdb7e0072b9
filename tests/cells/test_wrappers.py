"""The cell `stack`: a cell reads what the one below says."""

import pytest
import torch

from seqgen.cells import Cell, LSTMState, Stack, VariationalState, Zoneout, cells
from seqgen.options import OptionError
from seqgen.state import detach, leaves, rebuild, reorder


def stack(**options):
    torch.manual_seed(1)
    spec = [{"name": "lstm", "hidden_size": 4}, {"name": "lstm_cell", "hidden_size": 3}]
    return cells.build({"name": "stack", "cells": spec, **options}, input_size=2)


def tall(**options):
    """Three cells, of which the second and the third keep the width."""
    torch.manual_seed(1)
    spec = [{"name": name, "hidden_size": 4} for name in ("gru", "rnn_cell", "lstm")]
    return cells.build({"name": "stack", "cells": spec, **options}, input_size=2)


def test_each_cell_reads_the_one_below():
    made, xs = stack(), torch.randn(5, 6, 2)
    lower, upper = made.cells
    middle, low = lower(xs)
    outputs, high = upper(middle)
    found, state = made(xs)
    assert torch.equal(found, outputs)
    assert len(state) == 2
    assert all(map(torch.equal, leaves(state), leaves((low, high))))


def test_sizes_flow_upwards():
    made = stack()
    assert isinstance(made, Stack)
    assert [cell.output_size for cell in made.cells] == [4, 3]
    assert made.output_size == 3
    assert made.cells[1].native.input_size == 4


def test_dropout_is_between_cells_and_in_training_only():
    made, x = stack(dropout=0.5), torch.randn(1, 2)
    state = made.initial_state(1)
    outputs = [made.step(x, state) for _ in range(8)]
    assert len({output.sum().item() for output, _ in outputs}) > 1
    assert len({low[0].hidden.sum().item() for _, (low, _) in outputs}) == 1
    lows = [made(x.unsqueeze(1))[1][0][0].hidden for _ in range(8)]
    assert len({low.sum().item() for low in lows}) == 1
    assert len({made(x.unsqueeze(1))[0].sum().item() for _ in range(8)}) > 1
    made.eval()
    assert len({made.step(x, state)[0].sum().item() for _ in range(8)}) == 1
    assert len({made(x.unsqueeze(1))[0].sum().item() for _ in range(8)}) == 1


@pytest.mark.parametrize("state", [torch.zeros(5, 4), (), (None, None), (None,) * 3])
def test_a_state_for_other_cells_is_refused(state):
    for read in (stack().step, lambda x, s: stack()(x.unsqueeze(1), s)):
        with pytest.raises(ValueError, match="`state` must"):
            read(torch.zeros(5, 2), state)


def test_a_stack_of_nothing_is_refused():
    with pytest.raises(OptionError, match="`cells` must be at least 1 long"):
        cells.build({"name": "stack", "cells": []}, input_size=2)


def test_a_fault_of_a_cell_inside_knows_its_place():
    spec = {"name": "stack", "cells": ["lstm", {"name": "lstm", "dropout": 0.5}]}
    with pytest.raises(OptionError, match=r"^model\.cell\.cells\.1: `dropout` is between layers"):
        cells.check(spec, ("model", "cell"))(input_size=2)


LENGTHS = [None, torch.tensor([6, 0, 2, 3, 1])]


@pytest.mark.parametrize("lengths", LENGTHS)
def test_residual_adds_the_input_where_it_is_as_wide_as_the_output(lengths):
    made, xs = tall(residual=True), torch.randn(5, 6, 2)
    one, two, three = made.cells
    low, _ = one(xs, None, lengths)
    middle = low + two(low, None, lengths)[0]
    high = middle + three(middle, None, lengths)[0]
    torch.testing.assert_close(made(xs, None, lengths)[0], high)
    assert made.residual == [False, True, True]


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("lengths", LENGTHS)
def test_layer_norm_is_of_each_cells_outputs(residual, lengths):
    made, xs = tall(residual=residual, layer_norm=True), torch.randn(5, 6, 2)
    for norm in made.norms:
        torch.nn.init.normal_(norm.weight)
        torch.nn.init.normal_(norm.bias)
    wanted = xs
    for index, (cell, norm) in enumerate(zip(made.cells, made.norms, strict=True)):
        below = wanted if residual and index else 0
        wanted = below + norm(cell(wanted, None, lengths)[0])
    found, _ = made(xs, None, lengths)
    for row, length in enumerate([6] * 5 if lengths is None else lengths):
        torch.testing.assert_close(found[row, :length], wanted[row, :length])
        assert not found[row, length:].any()


def test_dropout_leaves_the_way_around_the_cells_alone():
    made, x = tall(residual=True, dropout=0.9), torch.randn(1, 2)
    for cell in made.cells[1:]:
        for each in cell.parameters():
            torch.nn.init.zeros_(each)
    output, (low, *_) = made.step(x, made.initial_state(1))
    assert torch.equal(output, low[0])


def test_residual_without_a_cell_of_that_width_is_refused():
    message = "`residual` needs a cell .* but the widths are 2, 4, 3, from the bottom up"
    with pytest.raises(OptionError, match=message):
        stack(residual=True)


def test_renewing_renews_each_cell():
    spec = ["gru_cell", {"name": "variational_dropout", "cell": "gru_cell"}]
    made = cells.build({"name": "stack", "cells": spec}, input_size=2)
    _, state = made(torch.randn(5, 6, 2))
    plain, masked = made.renew(state)
    assert torch.equal(plain, state[0])
    assert torch.equal(masked.cell, state[1].cell)
    assert not torch.equal(masked.of_outputs, state[1].of_outputs)
    with pytest.raises(ValueError, match="`state` must be a tuple of 2 states"):
        made.renew(state[:1])


# The cell `variational_dropout`: masks that last, and where they are drawn again.


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


# The cell `weight_drop`: which weights are dropped, how many, and for how long.


ROWS_WEIGHT_DROP, TIME_WEIGHT_DROP, INPUT_WEIGHT_DROP, SIZE_WEIGHT_DROP = 4, 5, 3, 40


def build_weight_drop(inner="lstm", rate=0.5, **options):
    torch.manual_seed(1)
    inner = inner if isinstance(inner, dict) else {"name": inner, "hidden_size": SIZE_WEIGHT_DROP}
    spec = {"name": "weight_drop", "cell": inner, "rate": rate, **options}
    return cells.build(spec, input_size=INPUT_WEIGHT_DROP)


def inputs_weight_drop():
    return torch.randn(
        ROWS_WEIGHT_DROP,
        TIME_WEIGHT_DROP,
        INPUT_WEIGHT_DROP,
        generator=torch.Generator().manual_seed(2),
    )


@pytest.mark.parametrize("inner", ["lstm", "lstm_cell", "gru", "gru_cell", "rnn", "rnn_cell"])
def test_recurrent_weights_are_dropped(inner):
    """Read off the gradients: where a weight is dropped, its gradient is zero."""
    cell = build_weight_drop(inner, rate=0.25)
    cell(inputs_weight_drop())[0].square().sum().backward()
    gradients = {name: each.grad for name, each in cell.cell.named_parameters()}
    (recurrent,) = (name for name in gradients if "weight_hh" in name)
    assert cell.names == [recurrent]
    zero = gradients.pop(recurrent) == 0
    assert abs(zero.float().mean() - 0.25) < 4 * (0.25 * 0.75 / zero.numel()) ** 0.5
    assert all(each.all() for each in gradients.values())


def test_what_is_left_is_scaled_up():
    cell = build_weight_drop(rate=0.5)
    weight = cell.cell.native.weight_hh_l0
    dropped = cell._dropped()["native.weight_hh_l0"]
    assert torch.equal(dropped, torch.where(dropped == 0, 0, 2 * weight))


@pytest.mark.parametrize("inner", ["gru", "gru_cell"])
def test_one_mask_is_for_a_whole_call(inner):
    """With the same mask at all rows and times, the call is one of the cell with such weights."""
    cell, xs = build_weight_drop(inner), inputs_weight_drop()
    torch.manual_seed(7)
    weights = {name: each.detach() for name, each in cell._dropped().items()}
    torch.manual_seed(7)
    found, last = cell(xs)
    other = build_weight_drop(inner)
    other.cell.load_state_dict({**other.cell.state_dict(), **weights})
    torch.testing.assert_close((found, last), other.cell(xs))


def test_each_call_draws_anew():
    cell, xs = build_weight_drop(), inputs_weight_drop()
    state = cell.initial_state(ROWS_WEIGHT_DROP)
    assert not torch.equal(cell(xs)[0], cell(xs)[0])
    state = cell(xs)[1]
    one, other = (cell.step_input(xs[:, 0], state)[0] for _ in range(2))
    assert not torch.equal(one, other)
    cell.eval()
    one, other = (cell.step_input(xs[:, 0], state)[0] for _ in range(2))
    assert torch.equal(one, other)


def test_a_step_in_training_is_a_call():
    cell, xs = build_weight_drop(), inputs_weight_drop()
    state = cell(xs)[1]
    torch.manual_seed(7)
    (wanted,), last = cell(xs[:, :1], state)[0].unbind(1), cell(xs[:, :1], state)[1]
    torch.manual_seed(7)
    found, _ = cell.step_input(xs[:, 0], state)
    torch.testing.assert_close(found, wanted)
    assert [type(part) for part in last] == [type(part) for part in state]


def test_the_weights_themselves_never_change():
    cell, xs = build_weight_drop(), inputs_weight_drop()
    before = {name: each.clone() for name, each in cell.state_dict().items()}
    parameters = list(cell.parameters())
    cell(xs)
    cell.step_input(xs[:, 0], cell.initial_state(ROWS_WEIGHT_DROP))
    assert all(map(torch.equal, before.values(), cell.state_dict().values()))
    assert all(one is other for one, other in zip(parameters, cell.parameters(), strict=True))
    assert before.keys() == cell.state_dict().keys()
    assert torch.equal(cell.eval()(xs)[0], cell.cell(xs)[0])


@pytest.mark.parametrize("lengths", [None, torch.tensor([5, 0, 2, 1])])
def test_lengths_and_pieces_in_training(lengths):
    cell, xs = build_weight_drop(rate=0), inputs_weight_drop()
    torch.testing.assert_close(cell(xs, None, lengths), cell.cell(xs, None, lengths))
    dropping = build_weight_drop()
    outputs, _ = dropping(xs, dropping(xs)[1], lengths)
    assert outputs.shape == (ROWS_WEIGHT_DROP, TIME_WEIGHT_DROP, SIZE_WEIGHT_DROP)
    if lengths is not None:
        assert all(not outputs[row, length:].any() for row, length in enumerate(lengths))


def test_patterns_choose_the_weights():
    stack = {"name": "stack", "cells": [{"name": "gru", "hidden_size": 4, "layers": 2}] * 2}
    every = build_weight_drop(stack).names
    assert len(every) == 4
    assert all("weight_hh" in name for name in every)
    assert build_weight_drop(stack, weights=["cells.1.*weight_hh_l0"]).names == [
        "cells.1.native.weight_hh_l0"
    ]


def test_patterns_that_match_nothing_are_refused():
    with pytest.raises(OptionError, match=r"`weights` must match .* \*weight_xx match none of nat"):
        build_weight_drop(weights=["*weight_xx"])


def test_weights_that_two_cells_share_are_dropped_alike():
    cell = build_weight_drop(
        {"name": "stack", "cells": [{"name": "rnn", "hidden_size": INPUT_WEIGHT_DROP}] * 2}
    )
    low, high = cell.cell.cells
    high.native.weight_hh_l0 = low.native.weight_hh_l0
    cell.names = cell.names[:1]
    cell(inputs_weight_drop())[0].square().sum().backward()
    assert (low.native.weight_hh_l0.grad == 0).any()


# The cell `zoneout`: what is kept, how often, and what evaluation expects.


ROWS_ZONEOUT, SIZE_ZONEOUT, TIME_ZONEOUT = 40, 50, 5
DRAWS = ROWS_ZONEOUT * SIZE_ZONEOUT


def build_zoneout(inner="lstm_cell", size=SIZE_ZONEOUT, **options):
    torch.manual_seed(1)
    spec = {"name": "zoneout", "cell": {"name": inner, "hidden_size": size}, **options}
    return cells.build(spec, input_size=3)


def before_and_after(cell):
    """A state, the state that the inner cell alone would come to, and what `cell` returns."""
    x = torch.randn(ROWS_ZONEOUT, 3)
    state = cell.initial_state(ROWS_ZONEOUT)
    state = LSTMState(torch.randn_like(state.hidden), torch.randn_like(state.memory))
    return state, cell.cell.step_input(x, state)[1], cell.step_input(x, state)


def test_each_tensor_keeps_a_share_of_its_own():
    cell, rates = build_zoneout(rates=[0.1, 0.5]), (0.1, 0.5)
    old, new, (_, found) = before_and_after(cell)
    for before, after, mixed, rate in zip(old, new, found, rates, strict=True):
        kept = mixed == before
        assert torch.equal(mixed, torch.where(kept, before, after))
        assert abs(kept.float().mean() - rate) < 4 * (rate * (1 - rate) / DRAWS) ** 0.5


def test_tensors_are_kept_independently_and_anew_at_each_step():
    cell, xs = build_zoneout(rates=[0.5]), torch.randn(ROWS_ZONEOUT, TIME_ZONEOUT, 3)
    state, kept = cell.initial_state(ROWS_ZONEOUT), []
    for x in xs.unbind(1):
        _, after = cell.step_input(x, state)
        kept += [new == old for new, old in zip(after, state, strict=True)]
        state = after
    for index, one in enumerate(kept):
        for other in kept[:index]:
            assert abs((one & other).float().mean() - 0.25) < 0.05


def test_evaluation_has_the_expectation():
    cell = build_zoneout(rates=[0.1, 0.5])
    cell.eval()
    old, new, (_, found) = before_and_after(cell)
    torch.testing.assert_close(found.hidden, 0.1 * old.hidden + 0.9 * new.hidden)
    torch.testing.assert_close(found.memory, 0.5 * old.memory + 0.5 * new.memory)


def test_the_mean_of_many_draws_is_the_evaluation():
    cell, x, state = build_zoneout(size=2, rates=[0.3]), torch.randn(1, 3), None
    state = cell(torch.randn(1, 3, 3))[1]
    many = LSTMState(*(part.detach().expand(20_000, -1) for part in state))
    _, found = cell.step_input(x.expand(20_000, -1), many)
    _, wanted = cell.eval().step_input(x, state)
    for draws, mean in zip(found, wanted, strict=True):
        torch.testing.assert_close(draws.mean(0, keepdim=True), mean, atol=0.01, rtol=0)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("inner", ["lstm_cell", "lstm", "gru", "rnn_cell"])
def test_the_output_is_zoned_out_as_the_state_is(inner, training):
    cell = build_zoneout(inner, rates=[0.5]).train(training)
    _, state = cell(torch.randn(ROWS_ZONEOUT, TIME_ZONEOUT, 3))
    output, after = cell.step_input(torch.randn(ROWS_ZONEOUT, 3), state)
    assert torch.equal(output, next(iter(leaves(after))))
    assert ((output == next(iter(leaves(state)))).float().mean() > 0.4) == training


def test_a_rate_of_zero_is_the_inner_cell():
    cell, xs = build_zoneout(rates=[0]), torch.randn(ROWS_ZONEOUT, TIME_ZONEOUT, 3)
    torch.testing.assert_close(cell(xs), cell.cell(xs))


def test_gradients_reach_everything_in_training_zoneout():
    cell, xs = (
        build_zoneout(rates=[0.2, 0.5]),
        torch.randn(ROWS_ZONEOUT, TIME_ZONEOUT, 3).requires_grad_(),
    )
    cell(xs)[0].square().sum().backward()
    assert all(each.grad.any() for each in (xs[:, 0], *cell.parameters()) if each.is_leaf)
    assert xs.grad[:, 0].any(1).all()


class Counting(Cell):
    """A cell that counts its steps in an integer beside a state of floats."""

    def __init__(self, input_size):
        super().__init__()
        self.output_size = input_size

    def initial_state(self, batch_size):
        return torch.zeros(batch_size, dtype=torch.long), torch.zeros(batch_size, self.output_size)

    def step(self, x, state):
        count, total = state
        return total + x, (count + 1, total + x)


def test_integers_are_left_alone():
    cell = Zoneout(input_size=SIZE_ZONEOUT, cell=Counting, rates=(0.9,))
    assert (
        cell(torch.ones(ROWS_ZONEOUT, TIME_ZONEOUT, SIZE_ZONEOUT))[1][0].tolist()
        == [TIME_ZONEOUT] * ROWS_ZONEOUT
    )
    total = cell(torch.ones(ROWS_ZONEOUT, TIME_ZONEOUT, SIZE_ZONEOUT))[1][1]
    assert abs(total.mean() - TIME_ZONEOUT * 0.1) < 0.1


def test_rates_begin_again_for_each_layer():
    spec = {"name": "lstm", "hidden_size": SIZE_ZONEOUT, "layers": 2}
    cell = cells.build({"name": "zoneout", "cell": spec, "rates": [0, 0.9]}, input_size=3)
    _, state = cell(torch.randn(ROWS_ZONEOUT, TIME_ZONEOUT, 3))
    _, after = cell.step_input(torch.randn(ROWS_ZONEOUT, 3), state)
    shares = [(a == b).float().mean() for a, b in zip(leaves(state), leaves(after), strict=True)]
    assert [share > 0.5 for share in shares] == [False, True, False, True]


@pytest.mark.parametrize("rates", [[], [0.1, 0.2, 0.3]])
def test_a_wrong_number_of_rates_is_refused(rates):
    message = f"`rates` must be one for all or .* has 2, but there are {len(rates)}"
    with pytest.raises(OptionError, match=message):
        build_zoneout(rates=rates)


@pytest.mark.parametrize("rate", [1, -0.1, "much"])
def test_a_rate_is_a_share(rate):
    with pytest.raises(OptionError, match="rates"):
        build_zoneout(rates=[rate])
