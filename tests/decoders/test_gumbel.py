"""Gumbel noise from the top down."""

import math

import pytest
import torch

from seqgen.decoders.gumbel import Perturbed, below, gumbel

INF = float("inf")


def test_gumbel_variables():
    assert gumbel(torch.tensor([math.exp(-1.0), math.exp(-math.e)])).tolist() == pytest.approx(
        [0, -1], abs=1e-6
    )


def test_moving_below_a_largest_one():
    free = torch.tensor([[0.5, -1.0, 3.0, -INF], [-50.0, -60.0, -50.1, -INF]], dtype=torch.float64)
    largest = torch.tensor([[1.5], [2.0]], dtype=torch.float64)
    moved = below(free, largest)
    top = free.amax(1, keepdim=True)
    wanted = -torch.log(torch.exp(-largest) - torch.exp(-top) + torch.exp(-free))
    torch.testing.assert_close(moved[0], wanted[0])
    assert torch.equal(moved.amax(1, keepdim=True), largest)
    assert moved[:, 3].tolist() == [-INF, -INF]
    assert (moved.argsort(1) == free.argsort(1)).all()


@pytest.mark.parametrize("scale", [1e-12, 1.0, 700.0, 1e6])
def test_never_nan(scale):
    free = scale * torch.randn(50, 20, generator=torch.manual_seed(1), dtype=torch.float64)
    for largest in (-scale, 0.0, scale):
        moved = below(free, torch.full((50, 1), largest, dtype=torch.float64))
        assert not moved.isnan().any()
        assert (moved <= largest).all()


def test_a_path_without_children_has_none_and_no_nan():
    paths = Perturbed.empty(1, torch.arange(2))
    scores = torch.tensor([[-INF, -INF], [-1.0, -INF]])
    log_probs, perturbed = paths.children(1, scores)
    assert log_probs.tolist() == [[-INF, -INF], [0.0, -INF]]
    assert perturbed[0].tolist() == [-INF, -INF]
    assert perturbed[1].tolist() == [float(paths.perturbed[1]), -INF]
