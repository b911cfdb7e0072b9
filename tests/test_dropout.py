"""Dropout: the rate, the scale, and nothing in evaluation."""

from __future__ import annotations

import pytest
import torch

from seqgen.dropout import Dropout


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
    values = Dropout(0.25)(torch.ones(10_000)).unique()
    assert values.tolist() == pytest.approx([0.0, 4 / 3])


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
