"""The laws of parts with weights, on a part of no kind at all."""

from dataclasses import dataclass

import pytest
import torch
from torch import nn

from seqgen.testing.laws import try_laws, unwatched
from seqgen.testing.network import WEIGHTS, NetworkCase, moved, network_laws


class Layer(nn.Module):
    """A linear layer; a subclass changes something."""

    def __init__(self, size):
        super().__init__()
        self.map = nn.Linear(size, size)

    def forward(self, xs):
        return self.map(xs)


class MakesOnTheCPU(Layer):
    def forward(self, xs):
        return super().forward(xs) + torch.zeros(xs.shape[1])


class Halves(Layer):
    def forward(self, xs):
        return super().forward(xs) * (2 if xs.dtype == torch.float64 else 1)


class Noisy(Layer):
    def forward(self, xs):
        return super().forward(xs) + 1e-6 * torch.rand(1)


class ReadsNothing(Layer):
    def forward(self, xs):
        return super().forward(xs.detach())


class InTraining(Layer):
    def forward(self, xs):
        return super().forward(xs) * (torch.nan if self.training else 1)


class PlainList(Layer):
    def __init__(self, size):
        super().__init__(size)
        self.layers = [nn.Linear(size, size)]


class Drawn(Layer):
    def __init__(self, size):
        super().__init__(size)
        self.register_buffer("offset", torch.randn(size), persistent=False)

    def forward(self, xs):
        return super().forward(xs) + self.offset


@dataclass(frozen=True)
class LayerCase(NetworkCase):
    def sizes(self):
        return {"size": 4}

    def given(self):
        return torch.randn(3, 4, generator=torch.Generator().manual_seed(1))

    def read(self, module, given):
        return module(given)

    def learned_from(self, given):
        return [given]


def findings(factory):
    laws = network_laws("call it so", ())
    assert tuple(law.name for law in laws) == WEIGHTS
    report = try_laws("mine", laws, LayerCase(factory), unwatched)
    return {each.law: each for each in report.findings}


def test_they_are_kept():
    assert {each.outcome for each in findings(Layer).values()} == {"kept"}


@pytest.mark.parametrize(
    ("factory", "law", "says"),
    [
        (PlainList, 0, "make it an nn.ModuleList"),
        (Noisy, 1, "draw nothing there"),
        (MakesOnTheCPU, 2, "tensors of two devices meet"),
        (Halves, 3, "numbers in float64 are not those in float32"),
        (ReadsNothing, 4, "no gradient reaches what it reads"),
        (InTraining, 4, "what it returned has NaN in training"),
        (Drawn, 5, "another one with the saved weights gives something else"),
    ],
)
def test_a_breach_is_reported_for_what_it_is(factory, law, says):
    found = findings(factory)[WEIGHTS[law]]
    assert found.outcome == "broken"
    assert says in found.says


def test_only_numbers_get_another_type():
    tokens, numbers = moved((torch.arange(3), torch.ones(2)), dtype=torch.float64)
    assert (tokens.dtype, numbers.dtype) == (torch.int64, torch.float64)
    assert moved(torch.ones(2), device="meta").is_meta
