"""The writer of loops: from the nodes of one step to a Python function that numba compiles.

Each value has a *place*: an array and, in its row, an offset and a stride for each axis but the
batch's. Views are places in the array of another value. Nodes that go over the same axes, element
by element, stand in one loop.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import torch
from torch import Tensor, fx
from torch._decomp import decomposition_table
from torch.fx.experimental.proxy_tensor import make_fx

from seqgen.fast.derive import BATCH, Part, batch_first, has_batch, is_view, merged

aten = torch.ops.aten


class UnwritableError(Exception):
    """The step has an operation that has no loop here; the message names it."""


POINTWISE: dict[Any, str] = {
    aten.add.Tensor: "{0} + {1}",
    aten.add.Scalar: "{0} + {1}",
    aten.sub.Tensor: "{0} - {1}",
    aten.sub.Scalar: "{0} - {1}",
    aten.rsub.Scalar: "{1} - {0}",
    aten.rsub.Tensor: "{1} - {0}",
    aten.mul.Tensor: "{0} * {1}",
    aten.mul.Scalar: "{0} * {1}",
    aten.div.Tensor: "{0} / {1}",
    aten.div.Scalar: "{0} / {1}",
    aten.neg.default: "-{0}",
    aten.abs.default: "abs({0})",
    aten.reciprocal.default: "f(1.0) / {0}",
    aten.sqrt.default: "math.sqrt({0})",
    aten.rsqrt.default: "f(1.0) / math.sqrt({0})",
    aten.sigmoid.default: "sigmoid({0})",
    aten.tanh.default: "tanh({0})",
    aten.exp.default: "exp({0})",
    aten.log.default: "log({0})",
    aten.log1p.default: "log1p({0})",
    aten.sin.default: "math.sin({0})",
    aten.cos.default: "math.cos({0})",
    aten.erf.default: "math.erf({0})",
    torch.ops.prims.erf.default: "math.erf({0})",
    aten.relu.default: "({0} if {0} > f(0.0) else f(0.0))",
    aten.maximum.default: "({0} if {0} > {1} else {1})",
    aten.minimum.default: "({0} if {0} < {1} else {1})",
    aten.where.self: "({1} if {0} else {2})",
    torch.ops.prims.where.default: "({1} if {0} else {2})",
    aten.masked_fill.Scalar: "({2} if {1} else {0})",
    aten.masked_fill.Tensor: "({2} if {1} else {0})",
    aten.sigmoid_backward.default: "{0} * {1} * (f(1.0) - {1})",
    aten.tanh_backward.default: "{0} * (f(1.0) - {1} * {1})",
    aten.threshold_backward.default: "({0} if {1} > {2} else f(0.0))",
    aten.bitwise_not.default: "not {0}",
    aten.logical_not.default: "not {0}",
    aten.bitwise_and.Tensor: "{0} and {1}",
    aten.logical_and.default: "{0} and {1}",
    aten.bitwise_or.Tensor: "{0} or {1}",
    aten.logical_or.default: "{0} or {1}",
    aten.eq.Tensor: "{0} == {1}",
    aten.ne.Tensor: "{0} != {1}",
    aten.gt.Tensor: "{0} > {1}",
    aten.ge.Tensor: "{0} >= {1}",
    aten.lt.Tensor: "{0} < {1}",
    aten.le.Tensor: "{0} <= {1}",
    aten.eq.Scalar: "{0} == {1}",
    aten.ne.Scalar: "{0} != {1}",
    aten.gt.Scalar: "{0} > {1}",
    aten.ge.Scalar: "{0} >= {1}",
    aten.lt.Scalar: "{0} < {1}",
    aten.le.Scalar: "{0} <= {1}",
    aten.clone.default: "{0}",
    aten.copy.default: "{1}",
    aten.pow.Tensor_Scalar: "{0} ** {1}",
    aten.sign.default: "f(({0} > f(0.0)) - f({0} < f(0.0)))",
    aten._to_copy.default: "f({0})",
}
"""What an element of the result is of the elements of the inputs."""

REDUCTIONS: dict[Any, tuple[str, str, str]] = {
    aten.sum.dim_IntList: ("f(0.0)", "total + {}", "total"),
    aten.mean.dim: ("f(0.0)", "total + {}", "total / f({count})"),
    aten.amax.default: ("f(-np.inf)", "max(total, {})", "total"),
    torch.ops.prims.amax.default: ("f(-np.inf)", "max(total, {})", "total"),
}
"""Over axes of a row: with what a total begins, what an element makes of it, and the result."""

FULLS = {aten.full.default, aten.zeros.default, aten.ones.default, aten.scalar_tensor.default}
OTHERS = {
    aten.mm.default, aten.bmm.default, aten.cat.default, aten.slice_scatter.default,
    aten.select_scatter.default, aten.amax.default,
}  # fmt: skip
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
DECOMPOSED[aten.native_layer_norm.default] = layer_norm
DECOMPOSED[aten.slice_backward.default] = fill_around
DECOMPOSED[aten.select_backward.default] = fill_around_one


@dataclass(frozen=True)
class Place:
    """Where a value stands: in row b of `array`, at `offset` plus the strides of its axes."""

    array: str
    row: int  # elements of a row; 0 where there are no rows
    offset: int
    sizes: tuple[int, ...]  # of the axes but the batch's
    strides: tuple[int, ...]

    @property
    def dense(self) -> bool:
        """Whether it is the whole of its row, in order."""
        expected, stride = [], 1
        for size in reversed(self.sizes):
            expected.append(stride)
            stride *= size
        pairs = zip(self.sizes, self.strides, reversed(expected), strict=True)
        return (
            self.offset == 0
            and stride == self.row
            and all(size == 1 or one == other for size, one, other in pairs)
        )


@dataclass
class Loop:
    """A written loop: its source, and which arrays its function takes."""

    source: str
    arguments: list[str]
    made: dict[str, tuple[int, torch.dtype]]  # the rows of those that it fills, by name
    aliases: dict[fx.Node, str]  # where each node of the part that leaves the loop stands


@dataclass
class _Group:
    """Nodes in one loop."""

    axes: tuple[int, ...]
    nodes: list[fx.Node] = field(default_factory=list)


class Writer:
    """Writes the loop of a part.

    `holders` are the inputs in which the state stands when a step begins, `following` what it is
    when the step ends, `leaving` the other outputs that are kept for all times.
    """

    def __init__(
        self,
        part: Part,
        holders: Sequence[fx.Node],
        following: Sequence[fx.Node | None],
        leaving: Sequence[fx.Node],
        *,
        backward: bool,
    ) -> None:
        self.backward = backward
        with torch._subclasses.FakeTensorMode():
            fakes = [
                torch.empty(rows_first(node), dtype=node.meta["val"].dtype) for node in part.inputs
            ]
        traced = make_fx(
            lambda *values: part.run(BATCH, *values),
            decomposition_table=DECOMPOSED,
            tracing_mode="fake",
        )(*fakes)
        self.graph = merged(traced.graph)
        nodes = list(self.graph.nodes)
        inputs = [node for node in nodes if node.op == "placeholder"]
        self.nodes = [node for node in nodes if node.op == "call_function"]
        self.results = dict(zip(part.outputs, nodes[-1].args[0], strict=True))
        self.places: dict[fx.Node, Place] = {}
        self.slices: dict[str, str] = {}
        self.scratch: dict[str, tuple[int, torch.dtype]] = {}
        self.made: dict[str, tuple[int, torch.dtype]] = {}
        self.arguments: list[str] = []
        self.functions: list[str] = []
        self.body: list[str] = []
        self.setup: list[str] = []
        self.owners = {
            _storage(node): node for node in reversed(inputs + self.nodes) if _is_base(node)
        }
        for number, (node, given) in enumerate(zip(inputs, part.inputs, strict=True)):
            self._input(node, given, number, holders)
        self.aliases: dict[fx.Node, str] = {}
        self.copies: list[tuple[fx.Node | None, Place]] = []
        for number, end in enumerate(following):
            self._output(end, f"s{number}", holders[number])
        for number, leaver in enumerate(leaving):
            if leaver not in self.aliases:
                self._output(leaver, f"o{number}", None)
        self._join()

    def write(self) -> Loop:
        """The source of the function `loop` and of those that it calls."""
        self._schedule()
        for node, place in self.copies:
            self._copy(node, place)
        names = [*self.arguments, *self.made]
        names = list(dict.fromkeys(names))
        times = "range(time - 1, -1, -1)" if self.backward else "range(time)"
        lines = [f"def loop(time, batch, begin, end, {', '.join(names)}):", "    n = end - begin"]
        lines.append("    ones = np.array([1.0, 0.0], np.float32)")
        for name, (row, dtype) in self.scratch.items():
            lines.append(f"    {name} = np.empty(n * {row}, {_numpy(dtype)})")
        lines += [f"    {line}" for line in self.setup]
        lines.append(f"    for t in {times}:")
        lines += [f"        {line}" for line in [*self.slices.values(), *self.body]]
        source = "\n\n\n".join([*self.functions, "@njit(**FAST)\n" + "\n".join(lines)])
        return Loop(source + "\n", names, self.made, self.aliases)

    # Places.

    def _input(
        self, node: fx.Node, given: fx.Node, number: int, holders: Sequence[fx.Node]
    ) -> None:
        value = node.meta["val"]
        _check_kind(value)
        if given in holders:
            name = f"s{holders.index(given)}"
            array = self._at(name, "t + 1" if self.backward else "t", value)
        elif has_batch(given):
            name = f"i{number}"
            array = self._at(name, "t", value)
        else:
            name = array = f"i{number}"
        self.arguments.append(name)
        self.places[node] = _place(node, array)

    def _at(self, name: str, time: str, value: Tensor) -> str:
        """The rows of an array at a time, as the loop calls them."""
        row = value.numel() // BATCH
        key = f"{name}_{'next' if '+' in time else 'now'}"
        begin = f"(({time}) * batch + begin) * {row}"
        self.slices[key] = f"{key} = {name}[{begin} : {begin} + n * {row}]"
        return key

    def _output(self, given: fx.Node | None, name: str, holder: fx.Node | None) -> None:
        """Let what is returned for `given` be made where it has to stand, or be copied there."""
        node = None if given is None else cast(fx.Node, self.results[given])
        like = cast(fx.Node, holder or node)
        if holder is None:
            array = self._at(name, "t", like.meta["val"])
            self.made[name] = (like.meta["val"].numel() // BATCH, like.meta["val"].dtype)
        else:
            array = self._at(name, "t" if self.backward else "t + 1", like.meta["val"])
            self.arguments.append(name)
        _check_kind(like.meta["val"])
        place = _dense(array, like)
        if given is not None:
            self.aliases[given] = name
        if node is not None and self._is_free(node) and _place(node, array) == place:
            self.places[node] = place
        else:
            self.copies.append((node, place))

    def _is_free(self, node: fx.Node) -> bool:
        """Whether its value is made here, and has no place yet."""
        made = node.op == "call_function" and _is_base(node) and node.target not in FULLS
        return made and node not in self.places

    def _join(self) -> None:
        """Let the parts of what is joined be made inside of it."""
        for node in self.nodes:
            if node.target is not aten.cat.default:
                continue
            whole = self._place(node)
            axis = _axis(node)
            start = 0
            for part in cast(list[fx.Node], node.args[0]):
                own = _place(part, "")
                size = own.sizes[axis]
                if math.prod(whole.sizes[:axis]) == 1 and self._is_free(part) and own.dense:
                    offset = whole.offset + start * whole.strides[axis]
                    self.places[part] = Place(
                        whole.array, whole.row, offset, own.sizes, own.strides
                    )
                start += size

    def _place(self, node: fx.Node) -> Place:
        """Where the value of `node` stands; a scratch array of its own unless there is another."""
        if node in self.places:
            return self.places[node]
        owner = self.owners[_storage(node)]
        if owner.target in FULLS:
            raise UnwritableError("a constant that is no number in a loop")
        if owner is node:
            value = node.meta["val"]
            _check_kind(value)
            if not has_batch(node):
                raise UnwritableError(f"{node.target} of parameters alone")
            name = f"w{len(self.scratch)}"
            self.scratch[name] = (value.numel() // BATCH, value.dtype)
            self.places[node] = _place(node, name)
        else:
            base, own = self._place(owner), _place(node, "")
            self.places[node] = Place(
                base.array, base.row, base.offset + own.offset, own.sizes, own.strides
            )
        return self.places[node]

    # Order.

    def _schedule(self) -> None:
        waiting = [node for node in self.nodes if _is_base(node) and node.target not in FULLS]
        done: set[fx.Node] = set()
        group: _Group | None = None

        def ready(node: fx.Node) -> bool:
            sources = [self._source(each) for each in node.all_input_nodes]
            return all(each is None or each in done for each in sources)

        def fits(node: fx.Node) -> bool:
            if group is None or node.target not in POINTWISE or _axes(node) != group.axes:
                return False
            return all(
                source is None
                or source in done
                or (source in group.nodes and self._direct(each, source))
                for each in node.all_input_nodes
                for source in [self._source(each)]
            )

        while waiting:
            chosen = next((node for node in waiting if fits(node)), None)
            if chosen is None:
                if group is not None:
                    self._write_group(group, waiting)
                    done |= set(group.nodes)
                    group = None
                chosen = next(
                    (node for node in waiting if ready(node) and node.target in POINTWISE), None
                )
                chosen = chosen or next(node for node in waiting if ready(node))
                if chosen.target in POINTWISE:
                    group = _Group(_axes(chosen))
                else:
                    waiting.remove(chosen)
                    self._write_other(chosen)
                    done.add(chosen)
                    continue
            assert group is not None
            group.nodes.append(chosen)
            waiting.remove(chosen)
        if group is not None:
            self._write_group(group, [])

    def _source(self, node: fx.Node) -> fx.Node | None:
        """The node of this step that makes the value of `node`; None for what is there already."""
        owner = self.owners[_storage(node)]
        made = owner.op == "call_function" and owner.target not in FULLS
        return owner if made else None

    def _direct(self, node: fx.Node, source: fx.Node) -> bool:
        """Whether `node` is all of `source`, element by element."""
        return _axes(node) == _axes(source) and _place(node, "").dense

    # Loops.

    def _write_group(self, group: _Group, waiting: Sequence[fx.Node]) -> None:
        inside = {node: f"v{index}" for index, node in enumerate(group.nodes)}
        later = {self._source(each) for node in waiting for each in node.all_input_nodes}
        kept = {node for node, _ in self.copies if node is not None}
        later |= {self._source(node) for node in kept if node.op == "call_function"}
        loop = _Loops(group.axes)
        lines = []
        for node, name in inside.items():
            operands = [self._operand(each, node, inside, loop) for each in node.args]
            lines.append(f"{name} = {_expression(node, operands)}")
        for node, name in inside.items():
            place = self._place(node) if node in later or node in self.places else None
            if place is not None:
                lines.append(f"{loop.element(place, _canonical(place))} = {name}")
        self._function(loop, lines)

    def _operand(self, value: Any, node: fx.Node, inside: dict[fx.Node, str], loop: _Loops) -> str:
        if not isinstance(value, fx.Node):
            return _literal(value)
        fill = self._fill(value)
        if fill is not None:
            return _literal(fill)
        source = self._source(value)
        if source in inside:
            return inside[source]
        place = self._place(value)
        return loop.element(place, _broadcast(value, place, node))

    def _fill(self, node: fx.Node) -> Any:
        """The number of which a constant is full; None for what is none."""
        owner = self.owners.get(_storage(node))
        if owner is None or owner.target not in FULLS:
            return None
        if owner.target in (aten.zeros.default, aten.ones.default):
            return float(owner.target is aten.ones.default)
        return owner.args[-1]

    def _copy(self, node: fx.Node | None, place: Place) -> None:
        loop = _Loops(place.sizes)
        self._function(loop, [f"{loop.element(place, place.strides)} = {self._value(node, loop)}"])

    def _value(self, node: fx.Node | None, loop: _Loops) -> str:
        """The element of `node`, for loops over its own axes."""
        fill = 0.0 if node is None else self._fill(node)
        if node is None or fill is not None:
            return _literal(fill)
        place = self._place(node)
        return loop.element(place, place.strides)

    def _write_other(self, node: fx.Node) -> None:
        if node.target in REDUCTIONS:
            self._reduce(node)
        elif node.target is aten.cat.default:
            self._cat(node)
        elif node.target in (aten.mm.default, aten.bmm.default):
            self._product(node)
        else:
            raise UnwritableError(f"no loop for {node.target}")

    def _reduce(self, node: fx.Node) -> None:
        source = cast(fx.Node, node.args[0])
        value = source.meta["val"]
        axes = [axis % value.dim() for axis in cast(list[int], node.args[1])]
        batch = _batch_axis(source)
        if batch in axes or batch is None:
            raise UnwritableError("a value of all rows")
        rest = [axis for axis in range(value.dim()) if axis != batch]
        summed = [rest.index(axis) for axis in axes]
        place, target = self._place(source), self._place(node)
        order = [*(index for index in range(len(rest)) if index not in summed), *summed]
        loop = _Loops([place.sizes[index] for index in order], len(rest) - len(summed))
        kept = bool(node.args[2]) if len(node.args) > 2 else False
        strides = [target.strides[index] for index in order] if kept else [*target.strides]
        strides[len(rest) - len(summed) :] = [0] * len(summed)
        start, update, end = REDUCTIONS[node.target]
        element = loop.element(place, [place.strides[index] for index in order])
        result = loop.element(target, strides)
        count = float(math.prod(place.sizes[index] for index in summed))
        line = f"total = {update.format(element)}"
        self._function(loop, [line], f"total = {start}", f"{result} = {end.format(count=count)}")

    def _cat(self, node: fx.Node) -> None:
        whole = self._place(node)
        parts = cast(list[fx.Node], node.args[0])
        axis = _axis(node)
        start = 0
        for part in parts:
            own = _place(part, "")
            offset = whole.offset + start * whole.strides[axis]
            target = Place(whole.array, whole.row, offset, own.sizes, whole.strides)
            placed = self.places.get(part)
            if placed is None or (placed.array, placed.offset) != (target.array, target.offset):
                self._copy(part, target)
            start += own.sizes[axis]

    def _product(self, node: fx.Node) -> None:
        left, right = cast(tuple[fx.Node, fx.Node], node.args)
        a, b, c = self._place(left), self._place(right), self._place(node)
        if has_batch(right) or not has_batch(left):
            raise UnwritableError("a product of two values of the batch")
        heads = left.meta["val"].shape[0] if node.target is aten.bmm.default else 1
        many = node.target is aten.bmm.default
        (inner, width), (down, across) = b.sizes[-2:], b.strides[-2:]
        if a.strides[-1] != 1 or c.strides[-1] != 1 or 1 not in (down, across):
            raise UnwritableError("a product of columns that lie apart")
        flag, distance = ("N", down) if across == 1 else ("T", across)
        name = f"z{len(self.setup)}"
        self.setup.append(
            f"{name} = np.array([n, {width}, {inner}, {ord('N')}, {ord(flag)}], np.int32)"
        )
        for head in range(heads):
            starts = [
                place.offset + (head * place.strides[0] if many else 0) for place in (a, b, c)
            ]
            lda = self._number(a.row)
            self.body.append(
                f"product({name}, ones, {a.array}[{starts[0]}:].ctypes.data, {lda}, "
                f"{b.array}[{starts[1]}:].ctypes.data, {self._number(distance)}, "
                f"{c.array}[{starts[2]}:].ctypes.data, {self._number(c.row)})"
            )

    def _number(self, value: int) -> str:
        """The address of a number, as BLAS wants it."""
        name = f"d{value}"
        line = f"{name} = np.array([{value}], np.int32)"
        if line not in self.setup:
            self.setup.append(line)
        return f"{name}.ctypes.data"

    def _function(self, loop: _Loops, lines: list[str], before: str = "", after: str = "") -> None:
        name = f"group{len(self.functions)}"
        arrays = ", ".join(loop.arrays)
        code = loop.code(lines, before, after)
        self.functions.append(
            f"@njit(pipeline_class=Apart, **FAST)\ndef {name}(n, {arrays}):\n{code}"
        )
        self.body.append(f"{name}(n, {arrays})")


class _Loops:
    """Loops over the rows and the axes of a row. Elements are named before the loops are known."""

    def __init__(self, sizes: Sequence[int], outer: int | None = None) -> None:
        self.sizes = list(sizes)
        self.outer = len(self.sizes) if outer is None else outer
        self.arrays: list[str] = []
        self.elements: list[tuple[Place, tuple[int, ...]]] = []

    def element(self, place: Place, strides: Sequence[int]) -> str:
        """The element of `place` at the loops' indices, by its stride for each of them."""
        if place.array not in self.arrays:
            self.arrays.append(place.array)
        found = (place, tuple(strides))
        if found not in self.elements:
            self.elements.append(found)
        return f"<{self.elements.index(found)}>"

    def code(self, lines: Sequence[str], before: str, after: str) -> str:
        """The body of a function. Axes that lie one in the other for all elements are one loop."""
        axes = [index for index, size in enumerate(self.sizes) if size != 1]
        loops: list[tuple[int, list[int]]] = []  # size, and the stride of each element
        outer, inside = 0, False
        for index in axes:
            strides = [each[index] for _, each in self.elements]
            size, entering = self.sizes[index], index >= self.outer and not inside
            inside = inside or entering
            if loops and not entering and loops[-1][1] == [each * size for each in strides]:
                loops[-1] = (loops[-1][0] * size, strides)
            else:
                loops.append((size, strides))
                outer += not inside
        indices = {}
        for number, (place, _) in enumerate(self.elements):
            terms = [f"row * {place.row}"] if place.row else []
            terms += [str(place.offset)] if place.offset else []
            for depth, (_, strides) in enumerate(loops):
                if strides[number]:
                    terms.append(
                        f"j{depth} * {strides[number]}" if strides[number] > 1 else f"j{depth}"
                    )
            indices[number] = f"{place.array}[{' + '.join(terms) or 0}]"
        text = ["for row in range(n):"]
        for depth in range(outer):
            text.append("    " * (depth + 1) + f"for j{depth} in range({loops[depth][0]}):")
        margin = "    " * (outer + 1)
        text += [margin + before] if before else []
        inner = margin
        for depth in range(outer, len(loops)):
            text.append(inner + f"for j{depth} in range({loops[depth][0]}):")
            inner += "    "
        text += [inner + line for line in lines]
        text += [margin + after] if after else []
        code = "\n".join("    " + line for line in text)
        return re.sub(r"<(\d+)>", lambda found: indices[int(found[1])], code)


def rows_first(node: fx.Node) -> list[int]:
    """The shape of what crosses for `node`: its own, but batch first."""
    shape = list(node.meta["val"].shape)
    return [shape[axis] for axis in batch_first(node)] or shape


def _check_kind(value: Tensor) -> None:
    if value.dtype not in (torch.float32, torch.bool):
        raise UnwritableError(f"a value of {value.dtype}")


def _numpy(dtype: torch.dtype) -> str:
    return "np.bool_" if dtype == torch.bool else "np.float32"


def _storage(node: fx.Node) -> int:
    return cast(int, node.meta["val"].untyped_storage()._cdata)


def _is_base(node: fx.Node) -> bool:
    """Whether its value has memory of its own."""
    if not isinstance(node.meta.get("val"), Tensor):
        return False
    return node.op == "placeholder" or not (is_view(node) or node.target is operator.getitem)


def _batch_axis(node: fx.Node) -> int | None:
    shape = list(node.meta["val"].shape)
    if any(size % BATCH == 0 and size not in (0, BATCH) for size in shape):
        raise UnwritableError("a batch that is part of another axis")
    return shape.index(BATCH) if BATCH in shape else None


def _place(node: fx.Node, array: str) -> Place:
    """Where the value of `node` stands in its memory, if `array` is that.

    Memory is row by row, whatever the trace had. With a batch of B it had for `[heads, B, size]`
    the strides B * size, size and 1, and for its second head the offset B * size: without B these
    are size, - and 1, and size, in rows of heads * size.
    """
    value, batch = node.meta["val"], _batch_axis(node)
    rest = [axis for axis in range(value.dim()) if axis != batch]
    row = value.untyped_storage().nbytes() // value.element_size() // BATCH
    apart = [value.stride(axis) // BATCH + value.stride(axis) % BATCH for axis in rest]
    offset = value.storage_offset() // BATCH + value.storage_offset() % BATCH
    return Place(array, row, offset, tuple(value.shape[axis] for axis in rest), tuple(apart))


def _dense(array: str, node: fx.Node) -> Place:
    """A place of its own for a value like that of `node`."""
    batch = _batch_axis(node)
    sizes = [size for axis, size in enumerate(node.meta["val"].shape) if axis != batch]
    strides = [math.prod(sizes[axis + 1 :]) for axis in range(len(sizes))]
    return Place(array, math.prod(sizes), 0, tuple(sizes), tuple(strides))


def _axes(node: fx.Node) -> tuple[int, ...]:
    """The sizes of a row's axes, those of 1 left out."""
    batch = _batch_axis(node)
    return tuple(s for axis, s in enumerate(node.meta["val"].shape) if axis != batch and s != 1)


def _canonical(place: Place) -> list[int]:
    """The strides for `_axes`."""
    return [stride for size, stride in zip(place.sizes, place.strides, strict=True) if size != 1]


def _broadcast(value: fx.Node, place: Place, node: fx.Node) -> list[int]:
    """The strides of `value`, at `place`, for the axes of `node`, which it is stretched to."""
    shape, whole = list(value.meta["val"].shape), list(node.meta["val"].shape)
    batch, own = _batch_axis(node), _batch_axis(value)
    strides = list(place.strides)
    if own is not None:
        strides.insert(own, 0)
        if own + len(whole) - len(shape) != batch:
            raise UnwritableError("an operation of a row with other rows")
    missing = len(whole) - len(shape)
    found = []
    for axis, size in enumerate(whole):
        if axis == batch or size == 1:
            continue
        index = axis - missing
        found.append(strides[index] if index >= 0 and shape[index] != 1 else 0)
    return found


def _axis(node: fx.Node) -> int:
    """Of a row's axes, the one along which `node` joins."""
    dimensions = node.meta["val"].dim()
    axis: int = cast(Any, node.args[1] if len(node.args) > 1 else 0) % dimensions
    batch = _batch_axis(node)
    if batch is None or axis == batch:
        raise UnwritableError("rows that are joined")
    return axis - int(batch < axis)


def _literal(value: Any) -> str:
    if isinstance(value, bool):
        return str(value)
    number = float(value)
    return (
        f"f({number!r})" if math.isfinite(number) else f"f(np.{str(number).replace('-', '-np.')})"
    )


def _expression(node: fx.Node, operands: list[str]) -> str:
    if node.target is aten.pow.Tensor_Scalar and node.args[1] == 2:
        return f"{operands[0]} * {operands[0]}"
    if node.target is aten._to_copy.default and node.meta["val"].dtype == torch.bool:
        return f"{operands[0]} != f(0.0)"
    alpha = node.kwargs.get("alpha", 1)
    if alpha != 1:
        operands = [operands[0], f"{_literal(alpha)} * {operands[1]}"]
    return POINTWISE[node.target].format(*operands)
