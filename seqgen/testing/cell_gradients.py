"""The laws of cells about double precision and gradients."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from seqgen.state import leaves
from seqgen.testing.cell_case import CellCase
from seqgen.testing.laws import BreachError, NotTriedError


def _double(case: CellCase) -> None:
    cell, xs = case.make(torch.float64), case.inputs(torch.float64)
    outputs, state = cell(xs)
    for what, tensor in (("the output", outputs), *(("the state", each) for each in leaves(state))):
        if tensor.is_floating_point() and tensor.dtype != torch.float64:
            raise BreachError(
                f"{what} of a cell in float64 is {tensor.dtype}; make tensors of the dtype and on "
                "the device of the weights, as `weight.new_zeros(...)` does"
            )


def _reach_all(case: CellCase) -> None:
    cell = case.make()
    cell.train()
    xs = case.inputs().requires_grad_()
    outputs, _ = cell(xs)
    # Weighted at random, for some sums are constant whatever the parameters are.
    (outputs * torch.randn(outputs.shape)).sum().backward()
    trained = [(name, each) for name, each in cell.named_parameters() if each.requires_grad]
    without = [name for name, each in trained if each.grad is None or not each.grad.any()]
    if without:
        raise BreachError(
            f"no gradient reaches {', '.join(without[:4])}; use it in `step`, leave it out, and "
            "beware of .detach(), .data and torch.no_grad()"
        )
    if xs.grad is None or not xs.grad.any():
        raise BreachError("no gradient reaches the input, so nothing below the cell would learn")


def _right(case: CellCase) -> None:
    cell = case.make(torch.float64)
    if next(cell.parameters(), None) is None:
        raise NotTriedError("the cell has no parameters")
    state, lengths = case.some_state(cell, torch.float64, 2), torch.tensor([3, 1])

    def read(xs: Tensor, *parameters: Tensor) -> tuple[Tensor, ...]:
        outputs, after = cell(xs, state, lengths)
        return (outputs, *(each for each in leaves(after) if each.is_floating_point()))

    xs = case.inputs(torch.float64, batch=2, time=3).requires_grad_()
    trained = [each for each in cell.parameters() if each.requires_grad]
    if not torch.autograd.gradcheck(read, (xs, *trained), fast_mode=True, raise_exception=False):
        raise BreachError(
            "the gradients are not those of finite differences; look for .detach(), .data, "
            "rounding, or a backward of your own"
        )


_DOUBLE = "it must work in float64 too: make tensors by `weight.new_zeros(...)`, not torch.zeros"
_GRADIENTS = "its outputs must be differentiable; change no tensor in place"

GRADIENT_LAWS: tuple[tuple[str, Callable[[CellCase], None], str], ...] = (
    ("it works in float64", _double, _DOUBLE),
    ("gradients reach every parameter", _reach_all, _GRADIENTS),
    ("gradients are right", _right, _DOUBLE),
)
