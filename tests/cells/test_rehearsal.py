"""A first look at cells from outside: what is wrong is told before training begins."""

import pytest
import torch

from seqgen.cells import Cell, cells
from seqgen.errors import PluginError


class Elman(Cell):
    """Nothing is wrong with this one."""

    def __init__(self, input_size):
        super().__init__()
        self.output_size = 3
        self.map = torch.nn.Linear(input_size + 3, 3)
        self.modes = []

    def initial_state(self, batch_size):
        return self.map.weight.new_zeros(batch_size, 3)

    def step(self, x, state):
        self.modes.append((self.training, torch.is_grad_enabled()))
        state = torch.tanh(self.map(torch.cat([x, state], 1)))
        return state, state


class ReturnsNone(Elman):
    def step(self, x, state):
        super().step(x, state)


class WrongWidth(Elman):
    def step(self, x, state):
        return super().step(x, state)[0][:, :2], state


class WrongState(Elman):
    def step(self, x, state):
        return super().step(x, state)[0], (state, state)


class Half(Elman):
    def step(self, x, state):
        return super().step(x, state)[0], state.half()


class BatchSecond(Elman):
    def initial_state(self, batch_size):
        return self.map.weight.new_zeros(1, batch_size, 3)


class AList(Elman):
    def initial_state(self, batch_size):
        return [super().initial_state(batch_size)]


class NotANumber(Elman):
    def step(self, x, state):
        return super().step(x, state)[0], state / state


class InfiniteOutput(Elman):
    def step(self, x, state):
        return super().step(x, state)[0] / 0, state


class Raises(Elman):
    def step(self, x, state):
        raise ValueError("two\nlines")


class NoCell:
    def __init__(self, input_size):
        pass


@pytest.mark.parametrize(
    ("cell", "says"),
    [
        (ReturnsNone, "must return the output [2, 3] and the state, but returned None"),
        (WrongWidth, "the output of `step` must be [2, 3], but is float32 [2, 2]"),
        (WrongState, "must be float32 [2, 3], but is (float32 [2, 3], float32 [2, 3])"),
        (Half, "must be float32 [2, 3], but is float16 [2, 3]"),
        (BatchSecond, "has a tensor of [1, 2, 3], but batch must be dimension 0: [2, ...]"),
        (AList, "has a list in it, but must be tensors, tuples and None"),
        (NotANumber, "the state that `step` returned is not finite"),
        (InfiniteOutput, "the output of `step` is not finite"),
        (Raises, "its first step raised ValueError: two lines"),
        (NoCell, "its first step raised AttributeError"),
    ],
)
def test_what_is_wrong_is_an_error_that_names_the_cell(cell, says, own_registries):
    cells.register("strange")(cell)
    with pytest.raises(PluginError) as raised:
        cells.build("strange", input_size=5)
    told = str(raised.value)
    assert told.startswith(f"the cell {cell.__name__} (")
    assert says in told
    assert "seqgen check " in told


def test_what_is_right_is_left_as_it_was(own_registries):
    cells.register("mine")(Elman)
    random = torch.get_rng_state()
    torch.manual_seed(1)
    wanted = Elman(5)
    torch.manual_seed(1)
    made = cells.build("mine", input_size=5)
    assert made.training
    assert made.modes == [(False, False)]
    assert torch.equal(made.map.weight, wanted.map.weight)
    torch.set_rng_state(random)


def test_where_only_shapes_are_there_nothing_is_tried(own_registries):
    cells.register("strange")(ReturnsNone)
    with torch.device("meta"):
        assert cells.build("strange", input_size=5)


def test_a_run_ends_with_code_8_and_writes_nothing(place, refusal, own_registries):
    cells.register("strange")(ReturnsNone)
    told = refusal(8, "run", "tiny.yaml", "model.cell=strange")
    assert "the cell ReturnsNone" in told
