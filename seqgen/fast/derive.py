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
from torch.func import functional_call, functionalize
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils import _pytree as pytree

from seqgen.state import State, leaves, rebuild

BATCH = 1_000_003
"""The batch size of the trace, a prime above every size of a cell; no memory is taken for it."""


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


class RefusedError(Exception):
    """The step cannot be derived; its message says why."""


@dataclass(frozen=True)
class Call:
    """What a cell is to read: `xs: [batch, time, input]` from `state`, as `Cell.forward`.

    `loop` is what reads it step by step, recorded by autograd; `tensors` are the parameters and
    buffers by name.
    """

    cell: nn.Module
    loop: Callable[[Tensor, State, Tensor | None], tuple[Tensor, State]]
    xs: Tensor
    state: State
    lengths: Tensor | None
    tensors: dict[str, Tensor]

    @property
    def given(self) -> list[Tensor]:
        """All that may have a gradient: the inputs, the leaves of the state, `tensors`."""
        return [self.xs, *leaves(self.state), *self.tensors.values()]

    @property
    def backward(self) -> bool:
        """Whether gradients are asked for."""
        return torch.is_grad_enabled() and any(each.requires_grad for each in self.given)


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
        graph = _trace(call)
    except Exception as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise RefusedError(f"its step cannot be traced: {lines[0]}") from error
    return _Splitter(graph, call).derived()


def _asking(call: Call) -> list[bool]:
    """Which parameters, whether the input, and which leaves have gradients in the trace.

    A later step's state has some, whether the first one's has or not.
    """
    flags = [(each, each.requires_grad) for each in (*call.tensors.values(), call.xs)]
    flags += [(each, True) for each in leaves(call.state)]
    return [call.backward and asked and each.is_floating_point() for each, asked in flags]


class _Step(nn.Module):
    def __init__(self, cell: nn.Module) -> None:
        super().__init__()
        self.cell = cell

    def forward(
        self, x: Tensor, state: State, live: Tensor | None = None
    ) -> tuple[Tensor, list[Tensor]]:
        """One step, in which a row that is not live changes nothing."""
        output, following = cast(Any, self.cell).step_input(x, state)
        if live is None:
            return output, list(leaves(following))
        kept = [
            new if new is old else torch.where(live.view(-1, *[1] * (new.dim() - 1)), new, old)
            for old, new in zip(leaves(state), leaves(following), strict=True)
        ]
        return output.masked_fill(~live.unsqueeze(1), 0), kept


def _trace(call: Call) -> fx.Graph:
    """The graph of a step and of its gradients, without mutations."""
    step, names = _Step(call.cell), [f"cell.{name}" for name in call.tensors]

    def joint(
        params: list[Tensor], x: Tensor, live: list[Tensor], states: list[Tensor],
        seeds: list[Tensor],
    ) -> list[Tensor | None]:  # fmt: skip
        named = dict(zip(names, params, strict=True))
        output, following = functional_call(step, named, (x, rebuild(call.state, states), *live))
        results = [output, *following]
        if not seeds:
            return results
        changed = [
            pair for pair in zip(results, seeds, strict=True)
            if pair[0].requires_grad and not any(pair[0] is each for each in states)
        ]  # fmt: skip
        asked = [each for each in (*params, x, *states) if each.requires_grad]
        ends, cotangents = zip(*changed, strict=True)
        return [*results, *torch.autograd.grad(ends, asked, cotangents, allow_unused=True)]

    def rows(like: Tensor) -> Tensor:
        return torch.empty(BATCH, *like.shape[1:], dtype=like.dtype)

    with torch._subclasses.FakeTensorMode(allow_non_fake_inputs=True):
        params = [
            torch.empty_strided(each.shape, each.stride(), dtype=each.dtype)
            for each in call.tensors.values()
        ]
        x, states = rows(call.xs[:, 0]), [rows(leaf) for leaf in leaves(call.state)]
        live = [] if call.lengths is None else [torch.empty(BATCH, dtype=torch.bool)]
        output = torch.empty(BATCH, cast(Any, call.cell).output_size, dtype=x.dtype)
        seeds = [rows(each) for each in (output, *states)] if call.backward else []
        for tensor, asked in zip((*params, x, *states), _asking(call), strict=True):
            tensor.requires_grad_(asked)
    inputs = (params, x, live, states, seeds)
    settings: Any = {"tracing_mode": "fake", "_allow_non_fake_inputs": True}
    with torch.random.fork_rng(devices=[]):
        traced = make_fx(joint, **settings)(*inputs)
        traced.graph.eliminate_dead_code()
        flat = [each.detach() for each in pytree.tree_leaves(inputs)]
        again = functionalize(lambda *values: fx.Interpreter(traced).run(*values))
        whole = make_fx(again, **settings)(*flat)
    return merged(whole.graph)


def merged(graph: fx.Graph) -> fx.Graph:
    """`graph`, with one node for what is computed twice, and without what changes nothing."""
    first: dict[Any, fx.Node] = {}
    for node in list(graph.nodes):
        if node.op != "call_function":
            continue
        if node.target in (aten.detach.default, aten.alias.default):
            node.replace_all_uses_with(node.args[0])
        elif not is_random(node):
            key = (node.target, str(node.args), str(node.kwargs))
            node.replace_all_uses_with(first.setdefault(key, node))
    graph.eliminate_dead_code()
    return graph


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
        gradients = [next(results) if asked else None for asked in _asking(call)]
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
        node.kwargs = {"dtype": value.dtype}
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
        `x @ W[:3] + h @ W[3:]`.
        On the way back, of `(g @ W.T)[:, 3:]` comes `g @ W.T[:, 3:]` if no step needs the rest.
        """
        to_gradient = _ancestors(self.of_changing)
        for node in list(self.graph.nodes):
            if node.target not in (aten.mm.default, aten.addmm.default) or node.kwargs:
                continue
            *total, left, right = node.args
            users = list(node.users)
            if left.target is aten.cat.default and left.args[1:] in ((1,), (-1,)):
                self._split_joined(node, total, left.args[0], right)
            elif not total and all(each.target is aten.slice.Tensor and each.args[1] == 1
                                   and len(each.args) == 4 for each in users):  # fmt: skip
                needed = [each.meta["val"].shape[1] for each in users if each in to_gradient]
                if sum(needed) < node.meta["val"].shape[1]:
                    for each in users:
                        columns = self._insert(node, aten.slice.Tensor, right, *each.args[1:])
                        alone = self._insert(node, aten.mm.default, left, columns)
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
            piece = run[0] if len(run) == 1 else self._insert(node, aten.cat.default, run, 1)
            rows = self._insert(node, aten.slice.Tensor, right, 0, begin, end)
            product = aten.addmm.default if total else aten.mm.default
            total = [self._insert(node, product, *total, piece, rows)]
        node.replace_all_uses_with(total[0])

    def _insert(self, before: fx.Node, target: Any, *args: Any) -> fx.Node:
        with self.graph.inserting_before(before):
            node = self.graph.call_function(target, args)
        node.meta["val"] = target(*fx.map_arg(args, lambda each: each.meta["val"]))
        return node

    def _levels(self) -> dict[fx.Node, Level]:
        """When each node runs; those that are cheap to repeat have none."""
        depends = self.depends
        forward = _ancestors([self.output, *self.following])
        to_state, to_gradient = _ancestors(self.following), _ancestors(self.of_changing)
        ahead = _ancestors(
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
                above = any(levels.get(each) == Level.OUTPUTS for each in _bases(node))
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
            self.levels.get(each) == Level.OUTPUTS for each in _bases(self.output, itself=True)
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
        loops = {level: self._loop(level, parts[level], read) for level in timed}
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


def is_node(value: Any) -> bool:
    """For `tree_map`, to which a node is no tree."""
    return isinstance(value, fx.Node)


def is_random(node: fx.Node) -> bool:
    """Whether it draws random numbers."""
    return torch.Tag.nondeterministic_seeded in getattr(node.target, "tags", ())


def has_batch(node: fx.Node) -> bool:
    """Whether the value of `node` has a row, or some, for each row of the batch."""
    value = node.meta.get("val")
    return isinstance(value, Tensor) and any(size % BATCH == 0 and size for size in value.shape)


def batch_first(node: fx.Node) -> list[int]:
    """The axes in the order that puts the batch first; empty where it is or there is none."""
    shape = list(node.meta["val"].shape)
    places = [axis for axis, size in enumerate(shape) if size == BATCH]
    if not has_batch(node) or places == [0]:
        return []
    if not places:
        raise RefusedError("its batch is part of another axis")
    return [places[0], *(axis for axis in range(len(shape)) if axis != places[0])]


def is_view(node: fx.Node) -> bool:
    """Whether it costs nothing: a view, some views, or one of those."""
    if node.target is operator.getitem:
        return is_view(node.all_input_nodes[0])
    unsafe = (aten._unsafe_view.default, aten.unsafe_split.Tensor)
    return node.target in unsafe or bool(getattr(node.target, "is_view", False))


def _bases(node: fx.Node, *, itself: bool = False) -> Iterable[fx.Node]:
    """What `node` reads, views resolved."""
    for each in [node] if itself else node.all_input_nodes:
        if each.op == "call_function" and is_view(each):
            yield from _bases(each)
        else:
            yield each


def _ancestors(nodes: Iterable[fx.Node | None]) -> set[fx.Node]:
    """The nodes that `nodes` need, and themselves."""
    found: set[fx.Node] = set()
    waiting = [node for node in nodes if node is not None]
    while waiting:
        node = waiting.pop()
        if node not in found:
            found.add(node)
            waiting.extend(node.all_input_nodes)
    return found
