"""The operations that loops can be written for, and those that come down to them."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from itertools import accumulate
from typing import Any, cast

import torch
from torch import Tensor, fx
from torch._decomp import decomposition_table

from seqgen.fast.trace import insert

aten = torch.ops.aten


class UnwritableError(Exception):
    """The step has an operation that has no loop here; the message names it."""


ELEMENTS = """\
add {0} + {1}; sub {0} - {1}; rsub {1} - {0}; mul {0} * {1}; div {0} / {1}; pow {0} ** {1}
neg -{0}; abs abs({0}); reciprocal f(1.0) / {0}; clone {0}; copy {1}; _to_copy f({0})
sqrt math.sqrt({0}); rsqrt f(1.0) / math.sqrt({0}); sin math.sin({0}); cos math.cos({0})
sigmoid sigmoid({0}); tanh tanh({0}); exp exp({0}); log log({0}); log1p log1p({0})
erf math.erf({0}); sign f(({0} > f(0.0)) - f({0} < f(0.0)))
relu ({0} if {0} > f(0.0) else f(0.0)); maximum ({0} if {0} > {1} else {1})
minimum ({0} if {0} < {1} else {1}); where ({1} if {0} else {2})
masked_fill ({2} if {1} else {0}); threshold_backward ({0} if {1} > {2} else f(0.0))
sigmoid_backward {0} * {1} * (f(1.0) - {1}); tanh_backward {0} * (f(1.0) - {1} * {1})
bitwise_not not {0}; logical_not not {0}; bitwise_and {0} and {1}; logical_and {0} and {1}
bitwise_or {0} or {1}; logical_or {0} or {1}; eq {0} == {1}; ne {0} != {1}; gt {0} > {1}
ge {0} >= {1}; lt {0} < {1}; le {0} <= {1}"""
"""What an element of the result is of the elements of the inputs."""

POINTWISE: dict[Any, str] = {
    getattr(packet, overload): element
    for name, element in (each.split(" ", 1) for each in re.split("; |\n", ELEMENTS))
    for packet in (getattr(aten, name, None), getattr(torch.ops.prims, name, None))
    for overload in ("Tensor", "Scalar", "default", "self", "Tensor_Scalar")
    if packet is not None and overload in packet.overloads()
}

REDUCTIONS: dict[Any, tuple[str, str, str]] = {
    aten.sum.dim_IntList: ("f(0.0)", "total + {}", "total"),
    aten.mean.dim: ("f(0.0)", "total + {}", "total / f({count})"),
    aten.amax.default: ("f(-np.inf)", "max(total, {})", "total"),
    torch.ops.prims.amax.default: ("f(-np.inf)", "max(total, {})", "total"),
}
"""Over axes of a row: with what a total begins, what an element makes of it, and the result."""

FULLS = {aten.full.default, aten.zeros.default, aten.ones.default, aten.scalar_tensor.default}
WRITTEN = {*POINTWISE, *REDUCTIONS, *FULLS, aten.mm.default, aten.bmm.default, aten.cat.default}


def layer_norm(x: Tensor, shape: list[int], weight: Any, bias: Any, eps: float) -> Any:
    """As `native_layer_norm`, in operations of which each has a loop."""
    axes = list(range(x.dim() - len(shape), x.dim()))
    mean = x.mean(axes, keepdim=True)
    centred = x - mean
    scale = torch.rsqrt((centred * centred).mean(axes, keepdim=True) + eps)
    normal = centred * scale
    normal = normal if weight is None else normal * weight
    return normal if bias is None else normal + bias, mean, scale


def add_product(
    start: Tensor, left: Tensor, right: Tensor, *, beta: Any = 1, alpha: Any = 1
) -> Any:
    """As `addmm` and `baddbmm`; the usual factors of 1 are not multiplied by."""
    if left.shape[-1] == 0:  # nothing is added
        return beta * start
    found = left @ right if alpha == 1 else alpha * (left @ right)
    return found + (start if beta == 1 else beta * start)


def fill_around(
    part: Tensor, sizes: Sequence[int], axis: int, start: int, end: int, step: int
) -> Any:
    """As `slice_backward`: zeros, but `part` from `start` on."""
    if step != 1:
        raise UnwritableError("a slice with gaps")
    start = min(start + sizes[axis] if start < 0 else start, sizes[axis])
    before, after = ([*sizes], [*sizes])
    before[axis], after[axis] = start, sizes[axis] - start - part.shape[axis]
    return torch.cat([torch.zeros(before), part, torch.zeros(after)], axis)


def fill_around_one(part: Tensor, sizes: Sequence[int], axis: int, index: int) -> Any:
    """As `select_backward`."""
    return fill_around(part.unsqueeze(axis), sizes, axis, index, 0, 1)


def slices(whole: Tensor, sizes: int | Sequence[int], axis: int = 0) -> Any:
    """As `split` and `split_with_sizes`."""
    length = whole.shape[axis]
    sizes = [sizes] * -(-length // sizes) if isinstance(sizes, int) else sizes
    starts = accumulate([0, *sizes])
    return [
        aten.slice.Tensor(whole, axis, start, min(start + size, length))
        for start, size in zip(starts, sizes, strict=False)
    ]


def slices_first(graph: fx.Graph) -> fx.Graph:
    """`graph`, with `a[:, :3] + b[:, :3]` for `(a + b)[:, :3]`, so that both stand in one loop."""
    for node in list(graph.nodes)[::-1]:
        if node.target not in POINTWISE or not all(map(_is_slice, node.users)):
            continue
        for use in list(node.users):
            apart = use.args[1] - node.meta["val"].dim()

            def part(each: Any, use: fx.Node = use, apart: int = apart) -> Any:
                whole = isinstance(each, fx.Node) and each.meta["val"].shape
                if not whole or len(whole) < -apart or whole[apart] == 1:
                    return each
                return insert(use, aten.slice.Tensor, each, apart % len(whole), *use.args[2:])

            args = [part(each) for each in node.args]
            use.replace_all_uses_with(insert(use, node.target, *args, **node.kwargs))
            graph.erase_node(use)
        graph.erase_node(node)
    return graph


def _is_slice(node: fx.Node) -> bool:
    return node.target is aten.slice.Tensor and len(node.args) == 4 and cast(int, node.args[1]) > 0


DECOMPOSED = {
    op: rule
    for op, rule in decomposition_table.items()
    if isinstance(op, torch._ops.OpOverload)
    and op not in WRITTEN
    and not op.is_view
    and op.namespace == "aten"
    and op not in (aten.unsafe_split.Tensor, aten.detach.default, aten._unsafe_view.default)
}
DECOMPOSED |= dict.fromkeys((aten.addmm.default, aten.baddbmm.default), add_product)
DECOMPOSED |= dict.fromkeys((aten.split.Tensor, aten.split_with_sizes.default), slices)
DECOMPOSED[aten.unsafe_split.Tensor] = slices
DECOMPOSED[aten.native_layer_norm.default] = layer_norm
DECOMPOSED[aten.slice_backward.default] = fill_around
DECOMPOSED[aten.select_backward.default] = fill_around_one


def literal(value: Any) -> str:
    """A number as a loop has it."""
    if isinstance(value, bool):
        return str(value)
    number = float(value)
    if math.isfinite(number):
        return f"f({number!r})"
    return f"f({'-' * (number < 0)}np.{abs(number)!s})"


def expression(node: fx.Node, operands: list[str]) -> str:
    """What a loop computes for an element of `node`."""
    if node.target is aten.pow.Tensor_Scalar and node.args[1] == 2:
        return f"{operands[0]} * {operands[0]}"
    if node.target is aten._to_copy.default and node.meta["val"].dtype == torch.bool:
        return f"{operands[0]} != f(0.0)"
    alpha = node.kwargs.get("alpha", 1)
    if alpha != 1:
        operands = [operands[0], f"{literal(alpha)} * {operands[1]}"]
    return POINTWISE[node.target].format(*operands)
