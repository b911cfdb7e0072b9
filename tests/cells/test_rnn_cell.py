"""The cell `rnn_cell`: the mathematics of `rnn`, step by step."""

import pytest
import torch

from seqgen.cells import RNN, RNNCell


@pytest.fixture(params=["tanh", "relu"])
def pair(request):
    """A `rnn` and a `rnn_cell` with the same weights."""
    torch.manual_seed(1)
    options = {"input_size": 2, "hidden_size": 3, "nonlinearity": request.param}
    native, cell = RNN(**options), RNNCell(**options)
    weights = native.state_dict()
    cell.load_state_dict({name.removesuffix("_l0"): each for name, each in weights.items()})
    return native, cell


@pytest.mark.parametrize("lengths", [None, [0, 5, 3, 1]])
def test_is_one_layer_of_rnn(pair, lengths):
    native, cell = pair
    xs = torch.randn(4, 5, 2)
    given = None if lengths is None else torch.tensor(lengths)
    outputs, (state,) = native(xs, None, given)
    found, last = cell(xs, None, given)
    torch.testing.assert_close(found, outputs, atol=1e-6, rtol=0)
    torch.testing.assert_close(last, state, atol=1e-6, rtol=0)


def test_gradients_are_those_of_rnn(pair):
    xs = torch.randn(4, 5, 2)
    for each in pair:
        each(xs, None, torch.tensor([5, 2, 0, 1]))[0].square().sum().backward()
    for one, other in zip(*(each.parameters() for each in pair), strict=True):
        torch.testing.assert_close(one.grad, other.grad, atol=1e-6, rtol=1e-5)
