"""The parts of a cell's step: what is computed once, for all times at once, and time by time.

The step is traced once, forward and backward, with a batch size that nothing else can have. Each
node of that graph has a *level*, which says when it runs. A value that a later level needs
*crosses*: it is kept for all times, `[time, batch, ...]`. `docs/fast.md` works an example through.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import IntEnum
from itertools import groupby, islice
from typing import Any, cast

import torch
from torch import Tensor, fx, nn
from torch.utils import _pytree as pytree

from seqgen.fast.trace import (
    BATCH,
    Call,
    RefusedError,
    ancestors,
    asking,
    bases,
    batch_first,
    first_line,
    has_batch,
    insert,
    is_node,
    is_random,
    is_view,
    trace,
)
from seqgen.state import leaves

Values = dict[fx.Node, Tensor]
"""By node; what has times is `[time * batch, ...]`, time after time."""


class Level(IntEnum):
    """When a node runs: `FORWARD` and `BACKWARD` time by time, `ONCE` without times and without a
    batch, the others for all times at once: to them `[time * batch, ...]` is a batch like any
    other."""

    ONCE = 0
    BEFORE = 1
    FORWARD = 2
    OUTPUTS = 3
    COTANGENTS = 4
    BACKWARD = 5
    AFTER = 6


aten = torch.ops.aten

PRODUCTS = {aten.mm.default, aten.addmm.default, aten.bmm.default, aten.baddbmm.default}
ARITHMETIC = {
    aten.add.Tensor, aten.sub.Tensor, aten.rsub.Scalar, aten.mul.Tensor, aten.neg.default
}  # fmt: skip
FILLS = {
    aten.empty_like.default: 0, aten.zeros_like.default: 0, aten.ones_like.default: 1,
    aten.new_zeros.default: 0, aten.new_empty.default: 0, aten.new_ones.default: 1,
}  # fmt: skip
DRAWS = {aten.rand_like.default: aten.rand.default, aten.randn_like.default: aten.randn.default}


@dataclass(frozen=True)
class Part:
    """Some nodes of a graph: `run(batch, *values of inputs)` returns the values of outputs.

    Whatever has a batch stands in it batch first.
    """

    run: Callable[..., Any]
    inputs: list[fx.Node]
    outputs: list[fx.Node]


@dataclass(frozen=True)
class TimeLoop:
    """A part that runs time by time.

    The state stands at `holders` when a step begins, and at `following` when it ends. `leaving`
    are the outputs that are kept for all times. `once` and `step` are the part in two: what has
    no batch, such as a transposed weight, and the rest.
    """

    level: Level  # FORWARD or BACKWARD
    part: Part
    once: Part
    step: Part
    holders: list[fx.Node]
    following: list[fx.Node | None]
    leaving: list[fx.Node]


@dataclass(frozen=True)
class Derived:
    """A step in parts, whose inputs and outputs are named by the nodes of one graph.

    `kept` are the places of those leaves of the state that each step returns as they are, such as
    a dropout mask: they count as inputs. `changing` are the places of the others.
    """

    parts: dict[Level, Part]  # by level
    loops: dict[Level, TimeLoop]
    params: list[fx.Node]
    x: fx.Node
    live: fx.Node | None  # which rows have not ended, where there are lengths
    states: list[fx.Node]
    kept: list[int]
    changing: list[int]
    randoms: list[fx.Node]
    output: fx.Node
    of_output: fx.Node | None  # the gradient that comes from above
    of_params: list[fx.Node | None]
    of_x: fx.Node | None
    of_states: list[fx.Node | None]  # of all leaves

    @property
    def saved(self) -> list[fx.Node]:
        """What the way back needs of the way forward."""
        later = [part for level, part in self.parts.items() if level > Level.OUTPUTS]
        made = {node for part in later for node in part.outputs} | {self.of_output}
        back = self.loops.get(Level.BACKWARD)
        made |= set(back.holders if back else [])
        needed = dict.fromkeys(node for part in later for node in part.inputs)
        return [node for node in needed if node not in made]


def derive(call: Call) -> Derived:
    """The parts of the cell's `step_input`, for inputs and states like those of `call`.

    With lengths a row that is not live keeps its state, and its output is zero. Raises
    RefusedError if the step cannot be derived.
    """
    try:
        graph = trace(call)
    except Exception as error:
        raise RefusedError(f"its step cannot be traced: {first_line(error)}") from error
    try:
        return _Splitter(graph, call).derived()
    except RefusedError:
        raise
    except Exception as error:
        raise RefusedError(f"its step cannot be taken apart: {first_line(error)}") from error


X, STATE, OUT, NEXT, PARAM = 1, 2, 4, 8, 16  # what a node depends on; OUT and NEXT are cotangents


class _Splitter:
    """Gives each node its level, and makes the parts."""

    def __init__(self, graph: fx.Graph, call: Call) -> None:
        self.graph = graph
        if any(node.op == "get_attr" for node in graph.nodes):
            raise RefusedError("its step uses a tensor that is neither parameter nor buffer")
        self._name_ends(call)
        self.depends = self._dependences()
        self._split_products()
        self._name_ends(call)
        self.depends = self._dependences()
        self.levels = self._levels()

    def _name_ends(self, call: Call) -> None:
        """Find the inputs and the results among the nodes."""
        holders = iter(node for node in self.graph.nodes if node.op == "placeholder")
        self.params = list(islice(holders, len(call.tensors)))
        self.x = next(holders)
        self.live = None if call.lengths is None else next(holders)
        self.states = list(islice(holders, sum(1 for _ in leaves(call.state))))
        seeds = list(holders)
        results = iter(cast(Iterable[fx.Node], list(self.graph.nodes)[-1].args[0]))
        self.output = next(results)
        after = list(islice(results, len(self.states)))
        places = range(len(after))
        self.kept = [place for place in places if after[place] is self.states[place]]
        self.changing = [place for place in places if place not in self.kept]
        self.following = [after[place] for place in self.changing]
        self.seeds = seeds and [seeds[0], *(seeds[1 + place] for place in self.changing)]
        gradients = [next(results) if asked else None for asked in asking(call)]
        self.of_params = gradients[: len(self.params)]
        self.of_x, *self.of_states = gradients[len(self.params) :]
        self.of_changing = [self.of_states[place] for place in self.changing]

    def _dependences(self) -> dict[fx.Node, int]:
        """The union of X to PARAM for each node. Raises RefusedError where rows meet."""
        self.randoms: list[fx.Node] = []
        depends = dict.fromkeys(self.params, PARAM)
        depends[self.x] = X
        if self.live is not None:
            depends[self.live] = X
        for place, state in enumerate(self.states):
            depends[state] = X if place in self.kept else STATE
        depends |= dict.fromkeys(self.seeds[:1], OUT) | dict.fromkeys(self.seeds[1:], NEXT)
        for node in self.graph.nodes:
            if node.op != "call_function":
                depends.setdefault(node, 0)  # the cotangent of a leaf that is kept, the output
                continue
            if node.target in FILLS or node.target in DRAWS:
                self._take_shape(node)
            depends[node] = 0
            for each in node.all_input_nodes:
                depends[node] |= depends[each]
            if is_random(node):
                if depends[node]:
                    raise RefusedError(f"its chances ({node.target}) depend on values")
                self.randoms.append(node)
                depends[node] = X
            self._check(node, depends[node])
        return depends

    def _take_shape(self, node: fx.Node) -> None:
        """Let `node`, which takes of its input the shape alone, no longer depend on it."""
        value, target = cast(Tensor, node.meta["val"]), cast(Any, node.target)
        fill = (FILLS[target],) if target in FILLS else ()
        node.args = (list(value.shape), *fill)
        there = {} if value.device.type == "cpu" else {"device": value.device}
        node.kwargs = {"dtype": value.dtype, **there}
        node.target = aten.full.default if fill else DRAWS[target]

    def _check(self, node: fx.Node, on: int) -> None:
        """Raises RefusedError where a value of a row could depend on another row.

        A gradient without a batch is none: what is derived from a step that takes each row alone
        is linear in the gradients of the rows, so it is a sum over rows, and over all times the
        same operation on `[time * batch, ...]`.
        """
        value = node.meta.get("val")
        if not isinstance(value, Tensor) or not on & ~PARAM:
            return
        batches = sum(size % BATCH == 0 and size > 0 for size in value.shape)
        if batches > 1 or (batches == 0 and not on & (OUT | NEXT)):
            raise RefusedError(f"rows of the batch meet in {node.target}")

    def _split_products(self) -> None:
        """Take products apart of which a part needs no state, to have it for all times at once.

        Of `cat([x, h], 1) @ W`, with x: [batch, 3] and h: [batch, 8], comes
        `x @ W[:3] + h @ W[3:]`, and on the way back of `(g @ W.T)[:, 3:]` comes `g @ W.T[:, 3:]`.
        The gradient of weights, `g.T @ x`, is `(x.T @ g).T`, faster in BLAS if x is the narrower.
        """
        to_gradient = ancestors(self.of_changing)

        def wide(node: fx.Node) -> int:
            return cast(int, node.meta["val"].shape[1])

        for node in list(self.graph.nodes):
            if node.target not in (aten.mm.default, aten.addmm.default) or node.kwargs:
                continue
            *total, left, right = node.args
            users, narrow = list(node.users), not total and not has_batch(node)
            if narrow and left.target is aten.t.default and wide(left.args[0]) > wide(right):
                turned = insert(
                    node, aten.mm.default, insert(node, aten.t.default, right), *left.args
                )
                node.replace_all_uses_with(insert(node, aten.t.default, turned))
            elif left.target is aten.cat.default and left.args[1:] in ((1,), (-1,)):
                self._split_joined(node, total, left.args[0], right)
            elif not total and all(each.target is aten.slice.Tensor and each.args[1] == 1
                                   and len(each.args) == 4 for each in users):  # fmt: skip
                needed = [wide(each) for each in users if each in to_gradient]
                if sum(needed) < wide(node):
                    for each in users:
                        columns = insert(node, aten.slice.Tensor, right, *each.args[1:])
                        alone = insert(node, aten.mm.default, left, columns)
                        each.replace_all_uses_with(alone)
        self.graph.eliminate_dead_code()

    def _split_joined(
        self, node: fx.Node, total: list[fx.Node], joined: list[fx.Node], right: fx.Node
    ) -> None:
        """Replace a product of `joined` parts by one for those of each kind, added to `total`."""
        terms, begin = [], 0
        for stateful, each in groupby(joined, lambda part: bool(self.depends[part] & STATE)):
            run = list(each)
            end = begin + sum(part.meta["val"].shape[1] for part in run)
            terms.append((stateful, run, begin, end))
            begin = end
        if {stateful for stateful, *_ in terms} != {False, True}:
            return
        for _, run, begin, end in sorted(terms, key=lambda term: term[0]):
            piece = run[0] if len(run) == 1 else insert(node, aten.cat.default, run, 1)
            rows = insert(node, aten.slice.Tensor, right, 0, begin, end)
            product = aten.addmm.default if total else aten.mm.default
            total = [insert(node, product, *total, piece, rows)]
        node.replace_all_uses_with(total[0])

    def _levels(self) -> dict[fx.Node, Level]:
        """When each node runs; those that are cheap to repeat have none."""
        depends = self.depends
        forward = ancestors([self.output, *self.following])
        to_state, to_gradient = ancestors(self.following), ancestors(self.of_changing)
        ahead = ancestors(
            node
            for node in self.graph.nodes
            if node.target in PRODUCTS and depends[node] & (OUT | NEXT) == OUT
        )
        levels: dict[fx.Node, Level] = {}
        for node in self.graph.nodes:
            on = depends[node]
            if node.op != "call_function" or node in self.randoms or not on or is_view(node):
                continue
            if on & (OUT | NEXT):
                level = Level.BACKWARD if node in to_gradient else Level.AFTER
                if level == Level.BACKWARD and not on & NEXT and node in ahead:
                    level = Level.COTANGENTS
            elif node not in forward and node.target is not operator.getitem:
                continue  # a factor of the backward pass: repeated where it is used
            elif on & STATE:
                above = any(levels.get(each) == Level.OUTPUTS for each in bases(node))
                hoisted = node not in to_state and (node.target in PRODUCTS or above)
                level = Level.OUTPUTS if hoisted else Level.FORWARD
                if not hoisted and node.target in ARITHMETIC and len(node.all_input_nodes) == 1:
                    continue  # 1 - f is made again of f, so that only one of them crosses
            else:
                level = Level.BEFORE if on & X else Level.ONCE
            levels[node] = level
        return levels

    def derived(self) -> Derived:
        """The parts, the last one first: what a part needs, an earlier one must give."""
        wanted: dict[Level, list[fx.Node]] = {level: [] for level in Level}
        ends = [self.of_x, *self.of_params, *(self.of_states[place] for place in self.kept)]
        wanted[Level.AFTER] = [node for node in ends if node is not None]
        wanted[Level.BACKWARD] = [node for node in self.of_changing if node is not None]
        wanted[Level.FORWARD] = list(self.following)
        above = any(
            self.levels.get(each) == Level.OUTPUTS for each in bases(self.output, itself=True)
        )
        wanted[Level.OUTPUTS if above else Level.FORWARD].append(self.output)
        parts: dict[Level, Part] = {}
        for level in reversed(Level):
            outputs = list(dict.fromkeys(wanted[level]))
            if outputs:
                parts[level] = self._part(level, outputs)
                for node in parts[level].inputs:
                    if node in self.levels:
                        wanted[self.levels[node]].append(node)
        read = {self.output, *(node for part in parts.values() for node in part.inputs)}
        timed = [level for level in (Level.FORWARD, Level.BACKWARD) if level in parts]
        loops: dict[Level, TimeLoop] = {
            level: self._loop(level, parts[level], read) for level in timed
        }
        return Derived(
            parts, loops, self.params, self.x, self.live, self.states, self.kept, self.changing,
            self.randoms, self.output, self.seeds[0] if self.seeds else None,
            self.of_params, self.of_x, self.of_states,
        )  # fmt: skip

    def _loop(self, level: Level, part: Part, read: set[fx.Node]) -> TimeLoop:
        step = self._part(level, part.outputs, hoisting=True)
        once = self._part(level, [node for node in step.inputs if node not in part.inputs])
        back = level == Level.BACKWARD
        return TimeLoop(
            level,
            part,
            once,
            step,
            self.seeds[1:] if back else [self.states[place] for place in self.changing],
            self.of_changing if back else list(self.following),
            [node for node in part.outputs if node in read],
        )

    def _part(self, level: Level, outputs: list[fx.Node], *, hoisting: bool = False) -> Part:
        """The nodes of `level` that `outputs` need, and what they need that has none.

        With `hoisting` what has no batch is an input, too.
        """
        graph = fx.Graph()
        batch = graph.placeholder("batch")
        copies: dict[fx.Node, fx.Node] = {}
        inputs: list[fx.Node] = []

        def size(value: Any) -> Any:
            if isinstance(value, bool) or not isinstance(value, int) or value % BATCH or not value:
                return value
            times = value // BATCH
            return batch if times == 1 else graph.call_function(operator.mul, (batch, times))

        def copy(node: fx.Node) -> fx.Node:
            if node in copies:
                return copies[node]
            several = isinstance(node.meta["val"], (tuple, list))
            own = several or self.levels.get(node, level) == level
            early = hoisting and not several and self.depends[node] == PARAM
            if node.op == "placeholder" or node in self.randoms or early or not own:
                inputs.append(node)
                found = graph.placeholder(node.name)
                order = batch_first(node)
                if order:  # it comes batch first
                    back = [order.index(axis) for axis in range(len(order))]
                    found = graph.call_function(aten.permute.default, (found, back))
            else:
                args = fx.map_arg(node.args, copy)
                kwargs = fx.map_arg(node.kwargs, copy)
                args, kwargs = pytree.tree_map(size, (args, kwargs), is_leaf=is_node)
                found = graph.call_function(cast(Any, node.target), args, kwargs)
            copies[node] = found
            return found

        results = [copy(node) for node in outputs]
        for index, node in enumerate(outputs):
            order = batch_first(node)
            if order:
                results[index] = graph.call_function(aten.permute.default, (results[index], order))
        graph.output(results)
        last = batch
        for node in [each for each in graph.nodes if each.op == "placeholder"][1:]:
            last.append(node)  # inputs stand before all else
            last = node
        return Part(fx.GraphModule(nn.Module(), graph).forward, inputs, outputs)
