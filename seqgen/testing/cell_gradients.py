"""The laws of cells about devices, double precision and gradients."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from seqgen.state import State, leaves
from seqgen.testing.cell_case import BATCH, CellCase
from seqgen.testing.laws import BreachError, NotTriedError
from seqgen.testing.saving import require_same_device


def _device(case: CellCase) -> None:
    cell = case.make().to("meta")
    if next(iter((*cell.parameters(), *cell.buffers())), None) is None:
        raise NotTriedError("the cell has no weights that could be elsewhere")
    xs = case.inputs().to("meta")

    def read() -> Iterator[tuple[str, State]]:
        state = cell.initial_state(BATCH)
        yield "the state from `initial_state`", state
        output, state = cell.step_input(xs[:, 0], state)
        yield "the output of `step`", output
        yield "the state from `step`", state
        yield "what `forward` returned", cell(xs)

    require_same_device(read, _ELSEWHERE)


def _double(case: CellCase) -> None:
    usual = torch.get_default_dtype()
    for weights, default in ((torch.float64, torch.float32), (torch.float32, torch.float64)):
        cell, xs = case.make(weights), case.inputs(weights)
        torch.set_default_dtype(default)
        try:
            first = cell.initial_state(BATCH)
            _require_dtype("the state from `initial_state`", first, weights)
            stepped, read = cell.step_input(xs[:, 0], first), cell(xs)
            _require_dtype("the output or the state of `step`", stepped, weights)
            _require_dtype("the output or the state of `forward`", read, weights)
        finally:
            torch.set_default_dtype(usual)


def _require_dtype(what: str, made: State, wanted: torch.dtype) -> None:
    for tensor in leaves(made):
        if tensor.is_floating_point() and tensor.dtype != wanted:
            raise BreachError(
                f"{what} is {tensor.dtype} where the weights are {wanted}; make tensors of the "
                "dtype and on the device of the weights, as `weight.new_zeros(...)` does"
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
    xs = case.inputs(torch.float64, batch=2, time=3).requires_grad_()

    def read() -> tuple[Tensor, ...]:
        outputs, after = cell(xs, state, lengths)
        return (outputs, *(each for each in leaves(after) if each.is_floating_point()))

    trained = [each for each in cell.parameters() if each.requires_grad]
    if not _as_by_differences(read, (xs, *trained)):
        raise BreachError(
            "the gradients are not those of finite differences; look for .detach(), .data, "
            "rounding, or a backward of your own"
        )


def _as_by_differences(read: Callable[[], tuple[Tensor, ...]], given: Sequence[Tensor]) -> bool:
    """Whether the gradient of a random sum of what is read, along a random line, is its slope.

    As `torch.autograd.gradcheck` in its fast mode, but without the second that this takes to load.
    """
    lines = [torch.randn_like(each) for each in given]
    weights = [torch.randn_like(each) for each in read()]

    def total() -> Tensor:
        made = zip(read(), weights, strict=True)
        return torch.stack([(each * weight).sum() for each, weight in made]).sum()

    found = torch.autograd.grad(total(), given, allow_unused=True)
    pairs = zip(found, lines, strict=True)
    gradient = sum(float((each * line).sum()) for each, line in pairs if each is not None)
    ends, before = [], [each.detach().clone() for each in given]
    with torch.no_grad():
        for step in (1e-6, -1e-6):
            for each, start, line in zip(given, before, lines, strict=True):
                each.copy_(start + step * line)
            ends.append(float(total()))
    slope = (ends[0] - ends[1]) / 2e-6
    return abs(gradient - slope) <= 1e-5 + 1e-4 * abs(slope)


_MADE = "make tensors by `weight.new_zeros(...)` or `x.new_tensor(...)`, not by torch.zeros"
_ELSEWHERE = f"{_MADE}; keep constants by `register_buffer`"
_DOUBLE = f"it must work in float64 too: {_MADE}"
_GRADIENTS = "its outputs must be differentiable; change no tensor in place"

WEIGHT_LAWS: tuple[tuple[str, Callable[[CellCase], None], str, tuple[str, ...]], ...] = (
    ("it works on any device", _device, _ELSEWHERE, ()),
    ("it works in float64", _double, _DOUBLE, ("it works on any device",)),
    ("gradients reach every parameter", _reach_all, _GRADIENTS, ()),
    (
        "gradients are right",
        _right,
        _DOUBLE,
        ("it works in float64", "gradients reach every parameter"),
    ),
)
