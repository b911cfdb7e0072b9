"""What the cells on native kernels share: their weights, layers, lengths and starts."""

import pytest
import torch
from torch.func import functional_call

from seqgen.cells import cells
from seqgen.state import leaves

NATIVE = ["lstm", "gru", "rnn"]


@pytest.fixture(params=NATIVE)
def name(request):
    return request.param


def build(name, **options):
    torch.manual_seed(1)
    return cells.build({"name": name, "hidden_size": 4, **options}, input_size=3)


@pytest.mark.parametrize("lengths", [None, [5, 0, 2]])
def test_is_what_torch_has(name, lengths):
    cell, xs = build(name, layers=2), torch.randn(3, 5, 3)
    wanted, _ = cell.native(xs)
    if lengths is not None:
        for row, length in enumerate(lengths):
            wanted[row, length:] = 0
        lengths = torch.tensor(lengths)
    torch.testing.assert_close(cell(xs, None, lengths)[0], wanted)


@pytest.mark.parametrize("lengths", [[5, 0, 2], [1, 1, 1], [0, 0, 4]])
def test_packed_rows_are_the_same_as_segments_of_rows(name, lengths):
    """Where there is no CPU rows are packed, which no other test would notice here."""
    cell, xs, lengths = build(name, layers=2), torch.randn(3, 5, 3), torch.tensor(lengths)
    start = cell(torch.randn(3, 2, 3))[1]
    found, wanted = cell._read_packed(xs, start, lengths), cell(xs, start, lengths)
    torch.testing.assert_close(found[0], wanted[0])
    for a, b in zip(leaves(found[1]), leaves(wanted[1]), strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("lengths", [None, torch.tensor([5, 0, 2])])
def test_reads_the_weights_of_the_moment(name, lengths):
    cell, other, xs = build(name, layers=2), build(name, layers=2), torch.randn(3, 5, 3)
    with torch.no_grad():
        for each in other.parameters():
            each.mul_(0.5)
    weights = {key: each.detach() for key, each in other.named_parameters()}
    before, _ = cell(xs, None, lengths)
    found, _ = functional_call(cell, weights, (xs, None, lengths))
    torch.testing.assert_close(found, other(xs, None, lengths)[0])
    assert not torch.allclose(found, before)
    assert torch.equal(cell(xs, None, lengths)[0], before)


def test_dropout_is_between_layers_and_in_training_only(name):
    cell, x = build(name, hidden_size=64, layers=2, dropout=0.5), torch.randn(1, 3)
    state = cell.initial_state(1)
    for read in (lambda: cell.step(x, state), lambda: cell(x.unsqueeze(1), state)):
        cell.train()
        (one, (low, _)), (other, (same, _)) = read(), read()
        assert not torch.equal(one, other)
        assert all(map(torch.equal, leaves(low), leaves(same)))
        cell.eval()
        assert torch.equal(read()[0], read()[0])


def test_dropout_needs_a_second_layer(name):
    with pytest.raises(
        ValueError, match="`dropout` is between layers: `layers` must be at least 2"
    ):
        build(name, dropout=0.1)


def test_a_width_that_is_not_the_inputs_is_named(name):
    with pytest.raises(ValueError, match=r"`xs` must be \[..., 3\], but is \[..., 2\]"):
        build(name)(torch.zeros(4, 5, 2))


def test_a_state_of_other_layers_is_named(name):
    cell, two = build(name), build(name, layers=2)
    with pytest.raises(ValueError, match="`state` must be a tuple of 1"):
        cell(torch.zeros(4, 5, 3), two.initial_state(4))


def test_rows_without_inputs_stay_as_they_are(name):
    cell, xs = build(name), torch.randn(3, 5, 3)
    start = cell(xs)[1]
    outputs, last = cell(xs, start, torch.zeros(3, dtype=torch.long))
    assert not outputs.any()
    assert all(map(torch.equal, leaves(last), leaves(start)))


def test_no_rows(name):
    assert build(name)(torch.zeros(0, 5, 3))[0].shape == (0, 5, 4)


@pytest.mark.parametrize("single", [False, True])
def test_an_orthogonal_start_keeps_what_is_remembered(name, single):
    options = {} if single else {"layers": 2}
    cell = build(f"{name}_cell" if single else name, init="orthogonal", **options)
    layers = [tuple(cell.native.parameters())] if single else cell.native.all_weights
    for _, recurrent, input_bias, recurrent_bias in layers:
        for gate in recurrent.detach().split(4):
            torch.testing.assert_close(gate @ gate.T, torch.eye(4), atol=1e-5, rtol=0)
        bias = (input_bias + recurrent_bias).detach().view(-1, 4).sum(1).tolist()
        assert bias == ([0, 4, 0, 0] if name == "lstm" else [0] * len(bias))


def test_lower_precision_is_torchs_own(name):
    cell, xs = build(name), torch.randn(3, 5, 3)
    with torch.autocast("cpu", torch.bfloat16):
        found, wanted = cell(xs)[0], cell.native(xs)[0]
    assert found.dtype == wanted.dtype
    assert torch.equal(found, wanted)
