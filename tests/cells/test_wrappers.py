"""Cells made of other cells: stacks, dropout of masks and of weights, zoneout."""

from __future__ import annotations

import pytest
import torch

from seqgen.cells import Cell, Dropout, LSTMState, VariationalState, Zoneout, cells
from seqgen.options import OptionError
from seqgen.state import leaves, reorder

ROWS, TIME, INPUT, SIZE = 40, 5, 30, 50


def wrapped(name, inner, input_size=INPUT, **options):
    torch.manual_seed(1)
    inner = inner if isinstance(inner, dict) else {"name": inner, "hidden_size": SIZE}
    return cells.build({"name": name, "cell": inner, **options}, input_size=input_size)


def inputs(input_size=INPUT, rows=ROWS):
    return torch.randn(rows, TIME, input_size, generator=torch.Generator().manual_seed(2))


def assert_share(zero, rate):
    """Of booleans, about `rate` are true."""
    spread = (rate * (1 - rate) / zero.numel()) ** 0.5
    assert abs(zero.float().mean() - rate) < 4 * spread


def stack(names=("lstm", "lstm_cell"), sizes=(4, 3), **options):
    torch.manual_seed(1)
    pairs = zip(names, sizes, strict=True)
    spec = [{"name": name, "hidden_size": size} for name, size in pairs]
    return cells.build({"name": "stack", "cells": spec, **options}, input_size=2)


def tall(**options):
    """Three cells, of which the second and the third keep the width."""
    return stack(("gru", "rnn_cell", "lstm"), (4, 4, 4), **options)


class TestStack:
    def test_dropout_is_between_cells_and_in_training_only(self):
        made, x = stack(dropout=0.5), torch.randn(1, 2)
        state = made.initial_state(1)
        for read in (lambda: made.step(x, state), lambda: made(x.unsqueeze(1))):
            made.train()
            found = [read() for _ in range(8)]
            assert len({output.sum().item() for output, _ in found}) > 1
            assert len({next(leaves(low)).sum().item() for _, (low, _) in found}) == 1
            made.eval()
            assert len({read()[0].sum().item() for _ in range(8)}) == 1

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"cells": []}, "`cells` must be at least 1 long"),
            (
                {"cells": ["lstm", {"name": "lstm", "dropout": 0.5}]},
                r"^model\.cell\.cells\.1: `dropout` is between lay",
            ),
            (
                {"cells": ["lstm", {"name": "gru", "hidden_size": 3}], "residual": True},
                "`residual` needs a cell .* but the widths are 2, 256, 3, from the bottom up",
            ),
        ],
    )
    def test_wrong_options_are_refused_at_their_place(self, options, message):
        with pytest.raises(OptionError, match=message):
            cells.check({"name": "stack", **options}, ("model", "cell"))(input_size=2)

    @pytest.mark.parametrize("residual", [False, True])
    @pytest.mark.parametrize("layer_norm", [False, True])
    @pytest.mark.parametrize("lengths", [None, torch.tensor([6, 0, 2, 3, 1])])
    def test_residual_and_layer_norm_by_hand(self, residual, layer_norm, lengths):
        """The input is added where it is as wide as the output, what a cell outputs normalised."""
        made, xs = tall(residual=residual, layer_norm=layer_norm), torch.randn(5, 6, 2)
        assert made.residual == [False, residual, residual]
        for each in made.norms.parameters():
            torch.nn.init.normal_(each)
        wanted = xs
        for index, (cell, norm) in enumerate(zip(made.cells, made.norms, strict=True)):
            below = wanted if residual and index else 0
            wanted = below + norm(cell(wanted, None, lengths)[0])
        found, _ = made(xs, None, lengths)
        for row, length in enumerate([6] * 5 if lengths is None else lengths):
            torch.testing.assert_close(found[row, :length], wanted[row, :length])
            assert not found[row, length:].any()

    def test_dropout_leaves_the_way_around_the_cells_alone(self):
        made, x = tall(residual=True, dropout=0.9), torch.randn(1, 2)
        for each in made.cells[1:].parameters():
            torch.nn.init.zeros_(each)
        output, (low, *_) = made.step(x, made.initial_state(1))
        assert torch.equal(output, low[0])

    def test_each_cell_resamples_its_masks(self):
        spec = ["gru_cell", {"name": "variational_dropout", "cell": "gru_cell"}]
        made = cells.build({"name": "stack", "cells": spec}, input_size=2)
        _, state = made(torch.randn(5, 6, 2))
        plain, masks = made.resample_masks(state)
        assert torch.equal(plain, state[0])
        assert torch.equal(masks.cell, state[1].cell)
        assert not torch.equal(masks.of_outputs, state[1].of_outputs)
        with pytest.raises(ValueError, match="`state` must be a tuple of 2 states"):
            made.resample_masks(state[:1])


class TestVariationalDropout:
    @staticmethod
    def build(inner="gru", **options):
        return wrapped("variational_dropout", inner, **options)

    @staticmethod
    def assert_is_mask(mask, rate):
        """Zeros at about `rate`, all else the one value with which the mean is 1."""
        assert mask.unique().shape == (2,)
        assert_share(mask == 0, rate)
        assert mask.max() == pytest.approx(1 / (1 - rate), rel=0.01)
        zero = (mask == 0).float()
        assert zero.mean(0).max() < 1  # rows differ
        assert zero.mean(1).max() < 1  # so do the places within a row

    def test_masks_are_drawn_with_the_state(self):
        cell = self.build(input_dropout=0.25, dropout=0.5)
        _, of_inputs, of_outputs = state = cell.initial_state(ROWS)
        assert type(state) is VariationalState
        assert of_inputs.shape == (ROWS, INPUT)
        assert of_outputs.shape == (ROWS, SIZE)
        self.assert_is_mask(of_inputs, 0.25)
        self.assert_is_mask(of_outputs, 0.5)
        again = cell.initial_state(ROWS)
        assert not torch.equal(again.of_inputs, of_inputs)
        assert not torch.equal(again.of_outputs, of_outputs)

    def test_in_evaluation_and_at_rate_zero_the_masks_are_ones(self):
        for cell in (self.build().eval(), self.build(input_dropout=0, dropout=0)):
            xs = inputs()
            for mask in cell.initial_state(ROWS)[1:]:
                assert torch.equal(mask, torch.ones_like(mask))
            assert torch.equal(cell(xs)[0], cell.cell(xs)[0])

    @pytest.mark.parametrize("inner", ["gru", "gru_cell"])
    def test_masks_fall_on_inputs_and_outputs(self, inner):
        cell, xs = self.build(inner), inputs()
        state = cell.initial_state(ROWS)
        wanted, last = cell.cell(xs * state.of_inputs.unsqueeze(1))
        found, after = cell(xs, state)
        torch.testing.assert_close(found, wanted * state.of_outputs.unsqueeze(1))
        torch.testing.assert_close(after.cell, last)
        assert not any(mask.requires_grad for mask in after[1:])

    def test_what_happens_in_training_follows_from_the_state_alone(self):
        cell, xs = self.build(), inputs()
        state = cell.initial_state(ROWS)
        wanted, last = cell(xs, state)
        for sizes in ([2, 1, 2], [1] * 5):
            pieces, carried = [], state
            for piece in xs.split(sizes, 1):
                if len(sizes) == 5:
                    output, carried = cell.step_input(piece[:, 0], carried)
                    output = output.unsqueeze(1)
                else:
                    output, carried = cell(piece, carried)
                pieces.append(output)
            torch.testing.assert_close((torch.cat(pieces, 1), carried), (wanted, last))
        rows = torch.tensor([3, 0, 0])
        moved = cell(xs[rows], reorder(state, rows))
        torch.testing.assert_close(moved, reorder((wanted, last), rows))

    def test_resampling_draws_the_masks_again_and_keeps_the_rest(self):
        cell = self.build()
        _, state = cell(inputs())
        found = cell.resample_masks(state)
        assert all(map(torch.equal, leaves(found.cell), leaves(state.cell)))
        assert not torch.equal(found.of_inputs, state.of_inputs)
        assert not torch.equal(found.of_outputs, state.of_outputs)
        self.assert_is_mask(found.of_outputs, 0.2)
        assert torch.equal(cell.eval().resample_masks(state).of_outputs, torch.ones(ROWS, SIZE))

    def test_masks_take_the_type_of_the_weights_and_are_no_weights(self):
        cell = self.build().double()
        assert {leaf.dtype for leaf in leaves(cell.initial_state(2))} == {torch.float64}
        assert all(name.startswith("cell.") for name in cell.state_dict())
        with torch.autocast("cpu", torch.bfloat16):
            assert self.build("lstm")(inputs())[0].dtype == torch.bfloat16


class TestWeightDrop:
    @staticmethod
    def build(inner="lstm", rate=0.5, **options):
        return wrapped("weight_drop", inner, input_size=3, rate=rate, **options)

    @pytest.fixture
    def xs(self):
        return inputs(3, rows=4)

    @pytest.mark.parametrize("inner", ["lstm", "lstm_cell", "gru", "gru_cell", "rnn", "rnn_cell"])
    def test_recurrent_weights_are_dropped(self, inner, xs):
        """Read off the gradients: where a weight is dropped, its gradient is zero."""
        cell = self.build(inner, rate=0.25)
        cell(xs)[0].square().sum().backward()
        gradients = {name: each.grad for name, each in cell.cell.named_parameters()}
        (recurrent,) = (name for name in gradients if "weight_hh" in name)
        assert cell.names == [recurrent]
        assert_share(gradients.pop(recurrent) == 0, 0.25)
        assert all(each.all() for each in gradients.values())

    def test_what_is_left_is_scaled_up(self):
        cell = self.build(rate=0.5)
        weight = cell.cell.native.weight_hh_l0
        dropped = cell._dropped()["native.weight_hh_l0"]
        assert torch.equal(dropped, torch.where(dropped == 0, 0, 2 * weight))

    @pytest.mark.parametrize("lengths", [None, torch.tensor([5, 0, 2, 1])])
    @pytest.mark.parametrize("inner", ["gru", "gru_cell"])
    def test_one_mask_is_for_a_whole_call(self, inner, xs, lengths):
        """With the same mask at all rows and times, it is a call of the cell with such weights."""
        cell = self.build(inner)
        torch.manual_seed(7)
        weights = {name: each.detach() for name, each in cell._dropped().items()}
        torch.manual_seed(7)
        found = cell(xs, None, lengths)
        other = self.build(inner)
        other.cell.load_state_dict({**other.cell.state_dict(), **weights})
        torch.testing.assert_close(found, other.cell(xs, None, lengths))

    def test_each_call_draws_anew(self, xs):
        cell = self.build()
        assert not torch.equal(cell(xs)[0], cell(xs)[0])
        state = cell(xs)[1]
        for training in (True, False):
            cell.train(training)
            one, other = (cell.step_input(xs[:, 0], state)[0] for _ in range(2))
            assert torch.equal(one, other) != training

    def test_a_step_in_training_is_a_call(self, xs):
        cell = self.build()
        state = cell(xs)[1]
        torch.manual_seed(7)
        wanted, last = cell(xs[:, :1], state)
        torch.manual_seed(7)
        found, _ = cell.step_input(xs[:, 0], state)
        torch.testing.assert_close(found, wanted[:, 0])
        assert [type(part) for part in last] == [type(part) for part in state]

    def test_the_weights_themselves_never_change(self, xs):
        cell = self.build()
        before = {name: each.clone() for name, each in cell.state_dict().items()}
        parameters = list(cell.parameters())
        cell(xs)
        cell.step_input(xs[:, 0], cell.initial_state(4))
        assert all(map(torch.equal, before.values(), cell.state_dict().values()))
        assert all(one is other for one, other in zip(parameters, cell.parameters(), strict=True))
        assert before.keys() == cell.state_dict().keys()
        assert torch.equal(cell.eval()(xs)[0], cell.cell(xs)[0])

    def test_patterns_choose_the_weights(self):
        stack = {"name": "stack", "cells": [{"name": "gru", "hidden_size": 4, "layers": 2}] * 2}
        every = self.build(stack).names
        assert len(every) == 4
        assert all("weight_hh" in name for name in every)
        one = self.build(stack, weights=["cells.1.*weight_hh_l0"])
        assert one.names == ["cells.1.native.weight_hh_l0"]

    def test_patterns_that_match_nothing_are_refused(self):
        with pytest.raises(OptionError, match=r"`weights` must match .* \*weight_xx match none of"):
            self.build(weights=["*weight_xx"])

    def test_weights_that_two_cells_share_are_dropped_alike(self, xs):
        cell = self.build({"name": "stack", "cells": [{"name": "rnn", "hidden_size": 3}] * 2})
        low, high = cell.cell.cells
        high.native.weight_hh_l0 = low.native.weight_hh_l0
        cell.names = cell.names[:1]
        cell(xs)[0].square().sum().backward()
        assert (low.native.weight_hh_l0.grad == 0).any()


class Counting(Cell):
    """A cell that counts its steps in an integer next to a state of floats."""

    def __init__(self, input_size):
        super().__init__()
        self.output_size = input_size

    def initial_state(self, batch_size):
        return torch.zeros(batch_size, dtype=torch.long), torch.zeros(batch_size, self.output_size)

    def step(self, x, state):
        count, total = state
        return total + x, (count + 1, total + x)


class TestZoneout:
    @staticmethod
    def build(inner="lstm_cell", **options):
        return wrapped("zoneout", inner, input_size=3, **options)

    @pytest.fixture
    def xs(self):
        return inputs(3)

    @staticmethod
    def before_and_after(cell):
        """A state, the state that the inner cell alone would come to, and what `cell` returns."""
        x = torch.randn(ROWS, 3)
        state = LSTMState(torch.randn(ROWS, SIZE), torch.randn(ROWS, SIZE))
        return state, cell.cell.step_input(x, state)[1], cell.step_input(x, state)

    def test_each_tensor_keeps_a_share_of_its_own(self):
        cell, rates = self.build(rates=[0.1, 0.5]), (0.1, 0.5)
        old, new, (_, found) = self.before_and_after(cell)
        for before, after, mixed, rate in zip(old, new, found, rates, strict=True):
            kept = mixed == before
            assert torch.equal(mixed, torch.where(kept, before, after))
            assert_share(kept, rate)

    def test_tensors_are_kept_independently_and_anew_at_each_step(self, xs):
        cell = self.build(rates=[0.5])
        state, kept = cell.initial_state(ROWS), []
        for x in xs.unbind(1):
            _, after = cell.step_input(x, state)
            kept += [new == old for new, old in zip(after, state, strict=True)]
            state = after
        for index, one in enumerate(kept):
            for other in kept[:index]:
                assert abs((one & other).float().mean() - 0.25) < 0.05

    def test_evaluation_has_the_expectation(self):
        cell = self.build(rates=[0.1, 0.5]).eval()
        old, new, (_, found) = self.before_and_after(cell)
        torch.testing.assert_close(found.hidden, 0.1 * old.hidden + 0.9 * new.hidden)
        torch.testing.assert_close(found.memory, 0.5 * old.memory + 0.5 * new.memory)

    @pytest.mark.parametrize("training", [True, False])
    @pytest.mark.parametrize("inner", ["lstm_cell", "lstm", "gru", "rnn_cell"])
    def test_the_output_is_zoned_out_as_the_state_is(self, inner, training, xs):
        cell = self.build(inner, rates=[0.5]).train(training)
        _, state = cell(xs)
        output, after = cell.step_input(torch.randn(ROWS, 3), state)
        assert torch.equal(output, next(iter(leaves(after))))
        assert ((output == next(iter(leaves(state)))).float().mean() > 0.4) == training

    def test_integers_are_left_alone(self):
        cell = Zoneout(input_size=SIZE, cell=Counting, rates=(0.9,))
        _, (counts, total) = cell(torch.ones(ROWS, TIME, SIZE))
        assert counts.tolist() == [TIME] * ROWS
        assert abs(total.mean() - TIME * 0.1) < 0.1

    def test_rates_begin_again_for_each_layer(self, xs):
        cell = self.build({"name": "lstm", "hidden_size": SIZE, "layers": 2}, rates=[0, 0.9])
        _, state = cell(xs)
        _, after = cell.step_input(torch.randn(ROWS, 3), state)
        pairs = zip(leaves(state), leaves(after), strict=True)
        assert [(a == b).float().mean() > 0.5 for a, b in pairs] == [False, True, False, True]

    @pytest.mark.parametrize("rates", [[], [0.1, 0.2, 0.3]])
    def test_a_wrong_number_of_rates_is_refused(self, rates):
        message = f"`rates` must be one for all or .* has 2, but there are {len(rates)}"
        with pytest.raises(OptionError, match=message):
            self.build(rates=rates)

    @pytest.mark.parametrize("rate", [1, -0.1, "much"])
    def test_a_rate_is_a_share(self, rate):
        with pytest.raises(OptionError, match="rates"):
            self.build(rates=[rate])


@pytest.mark.parametrize("rate", [0.1, 0.2, 0.5, 0.9])
def test_drops_the_rate_and_keeps_the_expectation(rate: float) -> None:
    torch.manual_seed(0)
    x = torch.ones(1000, 333)
    dropped = Dropout(rate)(x)
    share = (dropped == 0).double().mean().item()
    assert share == pytest.approx(round(256 * rate) / 256, abs=4e-3)
    assert dropped.double().mean().item() == pytest.approx(1.0, abs=2e-2)


def test_values_are_zero_or_scaled_by_the_exact_share() -> None:
    torch.manual_seed(0)
    values = Dropout(0.2)(torch.ones(10_000)).unique()
    assert values.tolist() == pytest.approx([0.0, 256 / 205])


def test_neighbours_are_independent() -> None:
    torch.manual_seed(0)
    dropped = (Dropout(0.5)(torch.ones(400_000)) == 0).double()
    for distance in (1, 7, 8, 9, 64):
        together = (dropped[:-distance] * dropped[distance:]).mean().item()
        assert together == pytest.approx(0.25, abs=5e-3), distance


def test_each_byte_of_a_draw_is_uniform() -> None:
    torch.manual_seed(0)
    dropped = (Dropout(0.5)(torch.ones(80_000, 8)) == 0).double().mean(0)
    assert dropped.tolist() == pytest.approx([0.5] * 8, abs=1e-2)


def test_nothing_in_evaluation_and_at_rate_zero() -> None:
    x = torch.randn(3, 5)
    assert Dropout(0.5).eval()(x) is x
    assert Dropout(0.0)(x) is x


def test_gradient_flows_where_kept() -> None:
    torch.manual_seed(0)
    x = torch.ones(64, requires_grad=True)
    y = Dropout(0.5)(x)
    y.sum().backward()
    assert x.grad is not None
    assert torch.equal(x.grad, y.detach())


def test_the_same_seed_gives_the_same_mask() -> None:
    x = torch.ones(1001)
    torch.manual_seed(3)
    first = Dropout(0.3)(x)
    torch.manual_seed(3)
    assert torch.equal(first, Dropout(0.3)(x))


def test_refuses_a_rate_of_one() -> None:
    with pytest.raises(ValueError, match="less than 1, but is 1"):
        Dropout(1.0)


@pytest.mark.parametrize(
    "shape", [(1, 5, 3), (5, 1, 3), (1, 1, 3), (4, 5, 3), (4, 5), (2, 3, 4, 5)]
)
@pytest.mark.parametrize("time_outermost", [False, True])
def test_any_shape_in_any_order_of_memory(shape: tuple[int, ...], time_outermost: bool) -> None:
    x = torch.ones(shape)
    if time_outermost:
        x = x.transpose(0, 1).contiguous().transpose(0, 1)
    dropped = Dropout(0.5)(x)
    assert dropped.shape == shape
    assert set(dropped.unique().tolist()) <= {0.0, 2.0}
