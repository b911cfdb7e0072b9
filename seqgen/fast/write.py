"""The writer of loops: from the nodes of one step to a Python function that numba compiles.

Nodes that go over the same axes, element by element, stand in one loop.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, fx
from torch.fx.experimental.proxy_tensor import make_fx

from seqgen.fast import elements, places
from seqgen.fast.derive import Level, TimeLoop
from seqgen.fast.elements import FULLS, POINTWISE, UnwritableError
from seqgen.fast.places import Loops, Place, long_axes, place_of
from seqgen.fast.trace import BATCH, batch_first, has_batch, is_view, merged

aten = torch.ops.aten


CHOOSING = """\
token = choose(o0_now, shares, points[t], temperature, truncations, last)
if token < 0:
    return t
tokens[t + 1] = token
if token in ends:
    return t + 1
"""
CHOICE = ["tokens", "points", "ends", "shares", "temperature", "truncations", "last"]


@dataclass
class Written:
    """A written loop: its source, and which arrays its function takes."""

    source: str
    arguments: list[str]
    made: dict[str, tuple[int, torch.dtype]]  # the rows of those that it fills, by name
    results: dict[fx.Node, tuple[str, list[int]]]  # the array of what leaves, and a row's shape


class Writer:
    """Writes a loop. Of the inputs `looked_up` each step reads the row of a token alone."""

    def __init__(self, loop: TimeLoop, looked_up: Collection[fx.Node] = ()) -> None:
        part, holders, self.backward = loop.part, loop.holders, loop.level == Level.BACKWARD
        with torch._subclasses.FakeTensorMode():
            fakes = [
                torch.empty(rows_first(node), dtype=node.meta["val"].dtype) for node in part.inputs
            ]
        traced = make_fx(
            lambda *values: part.run(BATCH, *values),
            decomposition_table=elements.DECOMPOSED,
            tracing_mode="fake",
        )(*fakes)
        graph = merged(elements.slices_first(traced.graph))
        nodes = list(graph.nodes)
        inputs = [node for node in nodes if node.op == "placeholder"]
        self.nodes = [node for node in nodes if node.op == "call_function"]
        self.outputs = dict(zip(part.outputs, nodes[-1].args[0], strict=True))
        self.places: dict[fx.Node, Place] = {}
        self.slices: dict[str, str] = {}
        self.scratch: dict[str, tuple[int, torch.dtype]] = {}
        self.made: dict[str, tuple[int, torch.dtype]] = {}
        self.arguments: list[str] = []
        self.functions: list[str] = []
        self.body: list[str] = []
        self.setup: list[str] = []
        for number, (node, given) in enumerate(zip(inputs, part.inputs, strict=True)):
            if given in looked_up and has_batch(given):
                self._row_of_token(node, f"i{number}")
            else:
                self._input(node, given, number, holders)
        self.results: dict[fx.Node, tuple[str, list[int]]] = {}
        self.copies: list[tuple[fx.Node | None, Place]] = []
        for number, end in enumerate(loop.following):
            self._output(end, f"s{number}", holders[number])
        for number, leaver in enumerate(loop.leaving):
            if leaver not in self.results:
                self._output(leaver, f"o{number}", None)
        self._join()

    def write(self, *, choosing: bool = False) -> Written:
        """The source of the function `loop` and of those that it calls; with `choosing` a step ends
        with the choice of a token, from what leaves the loop, and the next one reads that."""
        self._schedule()
        for node, place in self.copies:
            self._copy(node, place)
        names = list(dict.fromkeys([*self.arguments, *self.made, *(CHOICE if choosing else [])]))
        choice = CHOOSING.splitlines() if choosing else []
        times = "range(time - 1, -1, -1)" if self.backward else "range(time)"
        lines = [f"def loop(time, batch, begin, end, {', '.join(names)}):", "    n = end - begin"]
        lines += [f"    {line}" for line in self.setup]
        for name, (row, dtype) in self.scratch.items():
            lines.append(f"    {name} = np.empty(n * {row}, {_numpy(dtype)})")
        lines.append(f"    for t in {times}:")
        lines += [f"        {line}" for line in [*self.slices.values(), *self.body, *choice]]
        lines += ["    return time"] if choosing else []
        source = "\n\n\n".join([*self.functions, "@njit(**FAST)\n" + "\n".join(lines)])
        return Written(source + "\n", names, self.made, self.results)

    # Places.

    def _input(
        self, node: fx.Node, given: fx.Node, number: int, holders: Sequence[fx.Node]
    ) -> None:
        value = node.meta["val"]
        _check_kind(value)
        if given in holders:
            name = f"s{holders.index(given)}"
            array = self._at(name, "(t + 1)" if self.backward else "t", value)
        elif has_batch(given):
            name = f"i{number}"
            array = self._at(name, "t", value)
        else:
            name = array = f"i{number}"
        self.arguments.append(name)
        self.places[node] = place_of(node, array)

    def _row_of_token(self, node: fx.Node, name: str) -> None:
        """Let `node` be the row of this step's token in a table."""
        value = node.meta["val"]
        _check_kind(value)
        array = f"{name}_now"
        self.slices[array] = f"{array} = {name}[tokens[t] * {value.numel() // BATCH} :]"
        self.arguments.append(name)
        self.places[node] = place_of(node, array)

    def _at(self, name: str, time: str, value: Tensor) -> str:
        """The rows of an array at a time, as the loop calls them."""
        row = value.numel() // BATCH
        key = f"{name}_{'next' if '+' in time else 'now'}"
        self.slices[key] = f"{key} = {name}[({time} * batch + begin) * {row} :]"
        return key

    def _output(self, given: fx.Node | None, name: str, holder: fx.Node | None) -> None:
        """Let what is returned for `given` be made where it has to stand, or be copied there."""
        node = None if given is None else cast(fx.Node, self.outputs[given])
        like = cast(fx.Node, holder or node)
        if holder is None:
            array = self._at(name, "t", like.meta["val"])
            self.made[name] = (like.meta["val"].numel() // BATCH, like.meta["val"].dtype)
        else:
            array = self._at(name, "t" if self.backward else "(t + 1)", like.meta["val"])
            self.arguments.append(name)
        _check_kind(like.meta["val"])
        place = places.dense_place(array, like)
        if given is not None:
            self.results[given] = name, rows_first(given)[1:]
        if node is not None and self._is_free(node) and place_of(node, array) == place:
            self.places[node] = place
        else:
            self.copies.append((node, place))

    def _is_free(self, node: fx.Node) -> bool:
        """Whether its value is made here, and has no place yet."""
        made = node.op == "call_function" and _owner(node) is node and node.target not in FULLS
        return made and node not in self.places

    def _join(self) -> None:
        """Let the parts of what is joined be made inside of it."""
        for node in self.nodes:
            if node.target is not aten.cat.default:
                continue
            for part, place in places.joined(node, self._place(node)):
                if self._is_free(part) and place_of(part, "").dense and place.in_order:
                    self.places[part] = place

    def _place(self, node: fx.Node) -> Place:
        """Where the value of `node` stands; a scratch array of its own unless there is another."""
        if node in self.places:
            return self.places[node]
        owner = _owner(node)
        if owner.target in FULLS:
            raise UnwritableError("a constant that is no number in a loop")
        if owner is node:
            value = node.meta["val"]
            _check_kind(value)
            if not has_batch(node):
                raise UnwritableError(f"{node.target} of parameters alone")
            name = f"w{len(self.scratch)}"
            self.scratch[name] = (value.numel() // BATCH, value.dtype)
            self.places[node] = place_of(node, name)
        else:
            base, own = self._place(owner), place_of(node, "")
            self.places[node] = Place(
                base.array, base.row, base.offset + own.offset, own.sizes, own.strides
            )
        return self.places[node]

    # Order.

    def _schedule(self) -> None:
        waiting = [node for node in self.nodes if _owner(node) is node and node.target not in FULLS]
        done: set[fx.Node] = set()
        while waiting:
            group = self._next(waiting, done)
            waiting = [node for node in waiting if node not in group]
            if group[0].target in POINTWISE:
                self._write_group(group, waiting)
            else:
                self._write_other(group[0])
            done |= set(group)

    def _next(self, waiting: list[fx.Node], done: set[fx.Node]) -> list[fx.Node]:
        """What can be written now: as many nodes as go into one loop, or one node of its own."""
        group: list[fx.Node] = []

        def ready(node: fx.Node) -> bool:
            sources = [(each, self._source(each)) for each in node.all_input_nodes]
            return all(
                source is None or source in done or (source in group and self._direct(each, source))
                for each, source in sources
            )

        for node in waiting:
            if node.target not in POINTWISE or (group and long_axes(node) != long_axes(group[0])):
                continue
            if ready(node):
                group.append(node)
        return group or [next(node for node in waiting if ready(node))]

    def _source(self, node: fx.Node) -> fx.Node | None:
        """The node of this step that makes the value of `node`; None for what is there already."""
        owner = _owner(node)
        made = owner.op == "call_function" and owner.target not in FULLS
        return owner if made else None

    def _direct(self, node: fx.Node, source: fx.Node) -> bool:
        """Whether `node` is all of `source`, element by element."""
        return long_axes(node) == long_axes(source) and place_of(node, "").dense

    # Loops.

    def _write_group(self, group: list[fx.Node], waiting: Sequence[fx.Node]) -> None:
        inside = {node: f"v{index}" for index, node in enumerate(group)}
        later = {self._source(each) for node in waiting for each in node.all_input_nodes}
        later |= {self._source(node) for node, _ in self.copies if node is not None}
        loop = Loops(long_axes(group[0]))
        lines = []
        for node, name in inside.items():
            operands = [self._operand(each, node, inside, loop) for each in node.args]
            lines.append(f"{name} = {elements.expression(node, operands)}")
        for node, name in inside.items():
            if node in later or node in self.places:
                place = self._place(node)
                lines.append(f"{loop.element(place, place.long_strides)} = {name}")
        self._function(loop, lines)

    def _operand(self, value: Any, node: fx.Node, inside: dict[fx.Node, str], loop: Loops) -> str:
        if not isinstance(value, fx.Node):
            return elements.literal(value)
        fill = self._fill(value)
        if fill is not None:
            return elements.literal(fill)
        source = self._source(value)
        if source in inside:
            return inside[source]
        place = self._place(value)
        return loop.element(place, places.broadcast(value, place, node))

    def _fill(self, node: fx.Node) -> Any:
        """The number of which a constant is full; None for what is none."""
        owner = _owner(node)
        if owner.target not in FULLS:
            return None
        if owner.target in (aten.zeros.default, aten.ones.default):
            return float(owner.target is aten.ones.default)
        return owner.args[-1]

    def _copy(self, node: fx.Node | None, place: Place) -> None:
        """Put the value of `node` at `place`; zeros for None."""
        loop = Loops([size for size in place.sizes if size != 1])
        value = elements.literal(0.0) if node is None else self._operand(node, node, {}, loop)
        self._function(loop, [f"{loop.element(place, place.long_strides)} = {value}"])

    def _write_other(self, node: fx.Node) -> None:
        if node.target in elements.REDUCTIONS:
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
        batch = places.batch_axis(source)
        if batch in axes or batch is None:
            raise UnwritableError("a value of all rows")
        rest = [axis for axis in range(value.dim()) if axis != batch]
        summed = [rest.index(axis) for axis in axes]
        place, target = self._place(source), self._place(node)
        order = [*(index for index in range(len(rest)) if index not in summed), *summed]
        loop = Loops([place.sizes[index] for index in order], len(rest) - len(summed))
        kept = bool(node.args[2]) if len(node.args) > 2 else False
        strides = [target.strides[index] for index in order] if kept else [*target.strides]
        strides[len(rest) - len(summed) :] = [0] * len(summed)
        start, update, end = elements.REDUCTIONS[node.target]
        element = loop.element(place, [place.strides[index] for index in order])
        result = loop.element(target, strides)
        count = float(math.prod(place.sizes[index] for index in summed))
        line = f"total = {update.format(element)}"
        self._function(loop, [line], f"total = {start}", f"{result} = {end.format(count=count)}")

    def _cat(self, node: fx.Node) -> None:
        for part, place in places.joined(node, self._place(node)):
            placed = self.places.get(part)
            if placed is None or (placed.array, placed.offset) != (place.array, place.offset):
                self._copy(part, place)

    def _product(self, node: fx.Node) -> None:
        left, right = cast(tuple[fx.Node, fx.Node], node.args)
        a, b, c = self._place(left), self._place(right), self._place(node)
        if has_batch(right) or not has_batch(left):
            raise UnwritableError("a product of two values of the batch")
        many = node.target is aten.bmm.default
        (inner, width), (down, across) = b.sizes[-2:], b.strides[-2:]
        if a.strides[-1] != 1 or c.strides[-1] != 1 or 1 not in (down, across):
            raise UnwritableError("a product of columns that lie apart")
        name, distance = f"z{len(self.setup)}", down * across  # one of the two is 1
        kind = f"{inner}, {width}, {distance}, {across != 1}"
        self.setup.append(f"{name} = sizes(n, {a.row}, {c.row}, {kind})")
        for head in range(a.sizes[0] if many else 1):
            starts = (
                f"{each.array}[{each.offset + (head * each.strides[0] if many else 0)}:]"
                for each in (a, b, c)
            )
            self.body.append(f"product({name}, {', '.join(starts)}, {kind})")

    def _function(self, loop: Loops, lines: list[str], *around: str) -> None:
        name = f"group{len(self.functions)}"
        arrays = ", ".join(loop.arrays)
        code = loop.code(lines, around[:1], around[1:])
        self.functions.append(
            f"@njit(pipeline_class=Apart, **FAST)\ndef {name}(n, {arrays}):\n{code}"
        )
        self.body.append(f"{name}(n, {arrays})")


def rows_first(node: fx.Node) -> list[int]:
    """The shape of what crosses for `node`: its own, but batch first."""
    shape = list(node.meta["val"].shape)
    return [shape[axis] for axis in batch_first(node)] or shape


def _numpy(dtype: torch.dtype) -> str:
    return "np.bool_" if dtype == torch.bool else "np.float32"


def _owner(node: fx.Node) -> fx.Node:
    """The node that makes the value of `node`: itself, unless that is a view."""
    while is_view(node):
        node = node.all_input_nodes[0]
    return node


def _check_kind(value: Tensor) -> None:
    if value.dtype not in (torch.float32, torch.bool):
        raise UnwritableError(f"a value of {value.dtype}")
