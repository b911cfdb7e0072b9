"""The parts of a cell's step: what is computed once, for all times at once, and time by time.

The step is traced once, forward and backward, with a batch size that nothing else can have. Each
node of that graph has a *level*, which says when it runs. A value that a later level needs
*crosses*: it is kept for all times, `[time, batch, ...]`. `docs/fast.md` works an example through.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, fx, nn
from torch.func import functional_call, functionalize
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils import _pytree as pytree

from seqgen.state import State, leaves, rebuild

BATCH = 1_000_003
"""The batch size of the trace, a prime above every size of a cell; no memory is taken for it."""

ONCE, BEFORE, FORWARD, OUTPUTS, COTANGENTS, BACKWARD, AFTER = range(7)
"""Levels. `FORWARD` and `BACKWARD` run time by time, `ONCE` without times and without a batch, the
others for all times at once: `[time * batch, ...]` is to them a batch like any other."""

aten = torch.ops.aten
PRODUCTS = {aten.mm.default, aten.addmm.default, aten.bmm.default, aten.baddbmm.default}
SUMS = {
    aten.mm.default,
    aten.bmm.default,
    aten.sum.dim_IntList,
    aten.native_layer_norm_backward.default,
}
"""What may make one value of all rows in a backward pass. Its sum over the times is the same
operation on all times as one batch."""

LINEAR = {
    aten.t.default, aten.transpose.int, aten.permute.default, aten.view.default,
    aten._unsafe_view.default, aten.add.Tensor, aten.sub.Tensor, aten.neg.default, aten.mul.Tensor,
    aten.div.Tensor, aten.select_backward.default, aten.slice_backward.default, aten.cat.default,
    aten.select.int, aten.slice.Tensor, aten.unsqueeze.default, aten.squeeze.dim,
    aten.squeeze.dims, aten.expand.default, aten.clone.default, aten.sum.dim_IntList,
    aten.mm.default, aten.alias.default, aten.detach.default, operator.getitem, aten.where.self,
    aten.stack.default, aten.constant_pad_nd.default, aten.unbind.int, aten.split.Tensor,
    aten.split_with_sizes.default,
}  # fmt: skip
FILLS = {
    aten.empty_like.default: 0, aten.zeros_like.default: 0, aten.ones_like.default: 1,
    aten.new_zeros.default: 0, aten.new_empty.default: 0, aten.new_ones.default: 1,
}  # fmt: skip


DRAWS = {aten.rand_like.default: aten.rand.default, aten.randn_like.default: aten.randn.default}


class RefusedError(Exception):
    """The step cannot be derived; its message says why."""


@dataclass(frozen=True)
class Part:
    """The nodes of one level: `run(batch, *values of inputs)` returns the values of outputs.

    Whatever has a batch stands in it batch first.
    """

    run: fx.GraphModule
    inputs: list[fx.Node]
    outputs: list[fx.Node]


@dataclass(frozen=True)
class Derived:
    """A step in parts, whose inputs and outputs are named by the nodes of one graph.

    `kept` are the places of those leaves of the state that each step returns as they are, such as
    a dropout mask: they count as inputs. `changing` are the places of the others.
    """

    parts: dict[int, Part]
    params: list[fx.Node]
    x: fx.Node
    live: fx.Node | None
    states: list[fx.Node]
    kept: list[int]
    changing: list[int]
    randoms: list[fx.Node]
    output: fx.Node
    following: list[fx.Node]  # of the changing leaves, in their order
    cotangents: list[fx.Node]  # of the output and of the changing leaves
    of_params: list[fx.Node | None]
    of_x: fx.Node | None
    of_states: list[fx.Node | None]  # of all leaves


def derive(
    cell: nn.Module,
    tensors: Mapping[str, Tensor],
    x: Tensor,
    state: State,
    *,
    lengths: bool,
    backward: bool,
) -> Derived:
    """The parts of `cell.step_input` for inputs and states like `x: [batch, input]` and `state`.

    `tensors` are the parameters and buffers by name. With `lengths` a row that is not live keeps
    its state, and its output is zero. Raises RefusedError if the step cannot be derived.
    """
    try:
        graph, given = _trace(cell, tensors, x, state, lengths, backward)
    except Exception as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise RefusedError(f"its step cannot be traced: {lines[0]}") from error
    return _Splitter(graph, given).derived()


@dataclass(frozen=True)
class _Given:
    """What the trace was given: of each kind, which of its tensors ask for a gradient."""

    params: list[bool]
    x: bool
    lengths: bool
    states: list[bool]
    backward: bool


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
        old_and_new = zip(leaves(state), leaves(following), strict=True)
        kept = [new if new is old else _choose(live, new, old) for old, new in old_and_new]
        return output.masked_fill(~live.unsqueeze(1), 0), kept


def _choose(live: Tensor, new: Tensor, old: Tensor) -> Tensor:
    return torch.where(live.view(-1, *[1] * (new.dim() - 1)), new, old)


def _trace(
    cell: nn.Module,
    tensors: Mapping[str, Tensor],
    x: Tensor,
    state: State,
    lengths: bool,
    backward: bool,
) -> tuple[fx.Graph, _Given]:
    """The graph of a step and, with `backward`, of its gradients, without mutations."""
    step = _Step(cell)
    names = [f"cell.{name}" for name in tensors]

    def like(tensor: Tensor, *, batched: bool, grad: bool) -> Tensor:
        grad = grad and backward and tensor.is_floating_point()
        if batched:
            return torch.empty(BATCH, *tensor.shape[1:], dtype=tensor.dtype, requires_grad=grad)
        return torch.empty_strided(
            tensor.shape, tensor.stride(), dtype=tensor.dtype, requires_grad=grad
        )

    def joint(
        params: list[Tensor],
        x: Tensor,
        live: list[Tensor],
        states: list[Tensor],
        cotangents: list[Tensor],
    ) -> list[Tensor | None]:
        named = dict(zip(names, params, strict=True))
        output, following = functional_call(step, named, (x, rebuild(state, states), *live))
        results = [output, *following]
        if not backward:
            return results
        changed = [
            (result, cotangent)
            for result, cotangent in zip(results, cotangents, strict=True)
            if result.requires_grad and not any(result is each for each in states)
        ]
        asked = [each for each in (*params, x, *states) if each.requires_grad]
        ends, seeds = zip(*changed, strict=True)
        return [*results, *torch.autograd.grad(ends, asked, seeds, allow_unused=True)]

    with torch._subclasses.FakeTensorMode(allow_non_fake_inputs=True):
        params = [like(each, batched=False, grad=each.requires_grad) for each in tensors.values()]
        first = like(x, batched=True, grad=x.requires_grad)
        live = [torch.empty(BATCH, dtype=torch.bool)] if lengths else []
        states = [like(leaf, batched=True, grad=True) for leaf in leaves(state)]
        output = torch.empty(BATCH, cast(Any, cell).output_size, dtype=x.dtype)
        seeds = [like(each, batched=True, grad=False) for each in (output, *leaves(state))]
    given = _Given(
        [each.requires_grad for each in params],
        first.requires_grad,
        lengths,
        [each.requires_grad for each in states],
        backward,
    )
    inputs = (params, first, live, states, seeds if backward else [])
    settings: Any = {"tracing_mode": "fake", "_allow_non_fake_inputs": True}
    with torch.random.fork_rng(devices=[]):
        traced = make_fx(joint, **settings)(*inputs)
        traced.graph.eliminate_dead_code()
        flat = [each.detach() for each in pytree.tree_leaves(inputs)]
        again = functionalize(lambda *values: fx.Interpreter(traced).run(*values))
        whole = make_fx(again, **settings)(*flat)
    return merged(whole.graph), given


def merged(graph: fx.Graph) -> fx.Graph:
    """`graph`, with one node for what is computed twice, and without what changes nothing."""
    first: dict[Any, fx.Node] = {}
    for node in list(graph.nodes):
        if node.op != "call_function":
            continue
        if node.target in (aten.detach.default, aten.alias.default):
            node.replace_all_uses_with(node.args[0])
        elif torch.Tag.nondeterministic_seeded not in getattr(node.target, "tags", ()):
            key = (node.target, str(node.args), str(node.kwargs))
            node.replace_all_uses_with(first.setdefault(key, node))
    graph.eliminate_dead_code()
    return graph


X, STATE, OUT, NEXT, PARAM = 1, 2, 4, 8, 16  # what a node depends on; OUT and NEXT are cotangents


class _Splitter:
    """Gives each node its level, and makes the parts."""

    def __init__(self, graph: fx.Graph, given: _Given) -> None:
        self.given = given
        nodes = list(graph.nodes)
        holders = [node for node in nodes if node.op == "placeholder"]
        if any(node.op == "get_attr" for node in nodes):
            raise RefusedError("its step uses a tensor that is neither parameter nor buffer")
        counts = [len(given.params), 1, int(given.lengths), len(given.states)]
        taken = iter(holders)
        groups = [[next(taken) for _ in range(count)] for count in counts]
        self.params, (self.x,), live, self.states = groups
        self.live = live[0] if live else None
        seeds = list(taken)
        results = list(cast(Iterable[fx.Node | None], nodes[-1].args[0]))
        self.output = cast(fx.Node, results[0])
        following = cast(list[fx.Node], results[1 : 1 + len(self.states)])
        pairs = list(enumerate(zip(self.states, following, strict=True)))
        self.kept = [place for place, (old, new) in pairs if old is new]
        self.changing = [place for place, (old, new) in pairs if old is not new]
        self.following = [following[place] for place in self.changing]
        self.seeds = seeds and [seeds[0], *(seeds[1 + place] for place in self.changing)]
        found = iter(results[1 + len(self.states) :])
        asked = [*given.params, given.x, *given.states]
        gradients = [next(found) if each and given.backward else None for each in asked]
        self.of_params = gradients[: len(given.params)]
        self.of_x = gradients[len(given.params)]
        self.of_states = gradients[len(given.params) + 1 :]
        self.randoms: list[fx.Node] = []
        self.depends = self._dependences(nodes)
        self.levels = self._levels(nodes)
        self.crossing: dict[int, dict[fx.Node, None]] = {level: {} for level in range(AFTER + 1)}

    def _dependences(self, nodes: list[fx.Node]) -> dict[fx.Node, int]:
        """The union of X to PARAM for each node. Raises RefusedError where rows meet."""
        depends = dict.fromkeys(self.params, PARAM)
        depends[self.x] = X
        if self.live is not None:
            depends[self.live] = X
        for place, state in enumerate(self.states):
            depends[state] = X if place in self.kept else STATE
        depends |= dict.fromkeys(self.seeds[:1], OUT) | dict.fromkeys(self.seeds[1:], NEXT)
        for node in nodes:
            if node.op != "call_function":
                depends.setdefault(node, 0)  # the cotangent of a leaf that is kept, the output
                continue
            if node.target in FILLS or node.target in DRAWS:
                self._take_shape(node)
            depends[node] = 0
            for each in node.all_input_nodes:
                depends[node] |= depends[each]
            tags = getattr(node.target, "tags", ())
            if torch.Tag.nondeterministic_seeded in tags:
                if depends[node]:
                    raise RefusedError(f"its chances ({node.target}) depend on values")
                self.randoms.append(node)
                depends[node] = X
            self._check(node, depends)
        return depends

    def _take_shape(self, node: fx.Node) -> None:
        """Let `node`, which takes of its input the shape alone, no longer depend on it."""
        value, target = cast(Tensor, node.meta["val"]), cast(Any, node.target)
        fill = (FILLS[target],) if target in FILLS else ()
        node.args = (list(value.shape), *fill)
        node.kwargs = {"dtype": value.dtype}
        node.target = aten.full.default if fill else DRAWS[target]

    def _check(self, node: fx.Node, depends: Mapping[fx.Node, int]) -> None:
        """Raises RefusedError where a value of a row could depend on another row."""
        value = node.meta.get("val")
        if not isinstance(value, Tensor) or not depends[node] & ~PARAM:
            return
        batches = sum(size % BATCH == 0 and size > 0 for size in value.shape)
        if batches == 1:
            return
        backward = depends[node] & (OUT | NEXT)
        maker = node
        if node.target is operator.getitem and not is_view(node):
            maker = node.all_input_nodes[0]
        made = any(has_batch(each) for each in maker.all_input_nodes)
        if batches or not backward or maker.target not in (SUMS if made else LINEAR):
            raise RefusedError(f"rows of the batch meet in {maker.target}")

    def _levels(self, nodes: list[fx.Node]) -> dict[fx.Node, int]:
        """When each node runs; those that are cheap to repeat have none."""
        depends = self.depends
        forward = _ancestors([self.output, *self.following])
        to_state = _ancestors(self.following)
        changing = [self.of_states[place] for place in self.changing]
        to_gradient = _ancestors([each for each in changing if each is not None])
        ahead = _ancestors(
            node
            for node in nodes
            if node.target in PRODUCTS and depends[node] & (OUT | NEXT) == OUT
        )
        levels: dict[fx.Node, int] = {}
        for node in nodes:
            on = depends[node]
            if node.op != "call_function" or node in self.randoms or not on or is_view(node):
                continue
            if on & (OUT | NEXT):
                level = BACKWARD if node in to_gradient else AFTER
                if level == BACKWARD and not on & NEXT and node in ahead:
                    level = COTANGENTS
            elif node not in forward and node.target is not operator.getitem:
                continue  # a factor of the backward pass: repeated where it is used
            elif on & STATE:
                above = any(levels.get(each) == OUTPUTS for each in _bases(node))
                hoisted = node not in to_state and (node.target in PRODUCTS or above)
                level = OUTPUTS if hoisted else FORWARD
            else:
                level = BEFORE if on & X else ONCE
            levels[node] = level
        return levels

    def derived(self) -> Derived:
        """The parts, the last one first: what a part needs, an earlier one must give."""
        wanted: dict[int, list[fx.Node]] = {level: [] for level in range(AFTER + 1)}
        if self.given.backward:
            ends = [self.of_x, *self.of_params, *(self.of_states[place] for place in self.kept)]
            wanted[AFTER] = [node for node in ends if node is not None]
            changing = (self.of_states[place] for place in self.changing)
            wanted[BACKWARD] = [node for node in changing if node is not None]
        wanted[FORWARD] = list(self.following)
        wanted[OUTPUTS if self._level(self.output) == OUTPUTS else FORWARD].append(self.output)
        parts: dict[int, Part] = {}
        for level in reversed(range(AFTER + 1)):
            outputs = list(dict.fromkeys([*wanted[level], *self.crossing[level]]))
            if outputs:
                parts[level] = self._part(level, outputs)
        return Derived(
            parts, self.params, self.x, self.live, self.states, self.kept, self.changing,
            self.randoms, self.output, self.following, self.seeds,
            self.of_params, self.of_x, self.of_states,
        )  # fmt: skip

    def _level(self, node: fx.Node) -> int | None:
        """The level of what `node` is a view of."""
        found = {self.levels[each] for each in _bases(node, itself=True) if each in self.levels}
        return max(found, default=None)

    def _part(self, level: int, outputs: list[fx.Node]) -> Part:
        """The nodes of `level` that `outputs` need, and what they need that has none."""
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
            own = self.levels.get(node, level) == level or isinstance(
                node.meta["val"], (tuple, list)
            )
            if node.op == "placeholder" or node in self.randoms or not own:
                inputs.append(node)
                if node in self.levels:
                    self.crossing[self.levels[node]][node] = None
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
        _placeholders_first(graph)
        return Part(fx.GraphModule(nn.Module(), graph), inputs, outputs)


def is_node(value: Any) -> bool:
    """For `tree_map`, to which a node is no tree."""
    return isinstance(value, fx.Node)


def _placeholders_first(graph: fx.Graph) -> None:
    first = next(iter(graph.nodes))
    for node in [each for each in graph.nodes if each.op == "placeholder" and each is not first]:
        first.append(node)
        first = node


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


def _ancestors(nodes: Iterable[fx.Node]) -> set[fx.Node]:
    found: set[fx.Node] = set()
    waiting = list(nodes)
    while waiting:
        node = waiting.pop()
        if node not in found:
            found.add(node)
            waiting.extend(node.all_input_nodes)
    return found
