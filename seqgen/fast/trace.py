"""The trace of a cell's step, forward and backward: a graph of small operations, and its nodes."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, fx, nn
from torch.func import functional_call, functionalize
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils import _pytree as pytree

from seqgen.state import State, leaves, rebuild

aten = torch.ops.aten
BATCH = 1_000_003
"""The batch size of the trace, a prime above every size of a cell; no memory is taken for it."""


class RefusedError(Exception):
    """The step cannot be derived; its message says why."""


def first_line(error: Exception) -> str:
    """What an error says, on one line."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


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
    tensors: Mapping[str, Tensor]

    @property
    def given(self) -> list[Tensor]:
        """All that may have a gradient: the inputs, the leaves of the state, `tensors`."""
        return [self.xs, *leaves(self.state), *self.tensors.values()]

    @property
    def backward(self) -> bool:
        """Whether gradients are asked for."""
        return torch.is_grad_enabled() and any(each.requires_grad for each in self.given)


def asking(call: Call) -> list[bool]:
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


def trace(call: Call) -> fx.Graph:
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
        x = torch.empty(BATCH, call.xs.shape[2], dtype=call.xs.dtype)
        states = [rows(leaf) for leaf in leaves(call.state)]
        live = [] if call.lengths is None else [torch.empty(BATCH, dtype=torch.bool)]
        output = torch.empty(BATCH, cast(Any, call.cell).output_size, dtype=x.dtype)
        seeds = [rows(each) for each in (output, *states)] if call.backward else []
        for tensor, asked in zip((*params, x, *states), asking(call), strict=True):
            tensor.requires_grad_(asked)
    with torch.random.fork_rng(devices=[]):
        return without_mutations(joint, params, x, live, states, seeds).graph


def without_mutations(function: Callable[..., Any], *inputs: Any) -> fx.GraphModule:
    """The trace of `function`, whose placeholders are the tensors of `inputs` in their order, fake
    ones; what changes a tensor in place makes a new one there. Tensors that are none of `inputs`
    are attributes."""
    settings: Any = {"tracing_mode": "fake", "_allow_non_fake_inputs": True}
    traced = make_fx(function, **settings)(*inputs)
    traced.graph.eliminate_dead_code()
    flat = [each.detach() for each in pytree.tree_leaves(inputs)]
    again = functionalize(lambda *values: fx.Interpreter(traced).run(*values))
    whole = make_fx(again, **settings)(*flat)
    merged(whole.graph)
    return whole


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


def insert(before: fx.Node, target: Any, *args: Any, **kwargs: Any) -> fx.Node:
    """A new node with its value, before another one."""
    with before.graph.inserting_before(before):
        node = before.graph.call_function(target, args, kwargs)
    node.meta["val"] = target(*fx.map_arg(args, lambda each: each.meta["val"]), **kwargs)
    return node


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


def bases(node: fx.Node, *, itself: bool = False) -> Iterable[fx.Node]:
    """What `node` reads, views resolved."""
    for each in [node] if itself else node.all_input_nodes:
        if each.op == "call_function" and is_view(each):
            yield from bases(each)
        else:
            yield each


def ancestors(nodes: Iterable[fx.Node | None]) -> set[fx.Node]:
    """The nodes that `nodes` need, and themselves."""
    found: set[fx.Node] = set()
    waiting = [node for node in nodes if node is not None]
    while waiting:
        node = waiting.pop()
        if node not in found:
            found.add(node)
            waiting.extend(node.all_input_nodes)
    return found
