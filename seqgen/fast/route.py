"""A cell's fast route: its derived parts run over a whole sequence, forward and backward."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, fx, nn
from torch.utils import _pytree as pytree

from seqgen.fast.derive import (
    BATCH,
    Call,
    Derived,
    Level,
    RefusedError,
    Values,
    derive,
    first_line,
    is_node,
)
from seqgen.fast.loops import CapturedLoops, EagerLoops, by_time
from seqgen.machine import keep_random_state
from seqgen.state import State, leaves, rebuild

if TYPE_CHECKING:  # numba may be missing, and takes a while to load
    from seqgen.fast.compiled import CompiledLoops

RECORDED_FROM = 17
"""From so many rows on a loop recorded by autograd is as fast as one of small operations, on a CPU:
a GPU waits for its next operation, of which the recorded loop has more, whatever the rows."""


class Route:
    """What a cell knows of its fast route: how it reads each kind of call, or why it does not.

    `compiling` says whether loops may be compiled. With `checking` the first call of a kind is
    compared with the loop, for a few random rows, and must agree.
    """

    def __init__(self, *, compiling: bool = True, checking: bool = True) -> None:
        self.compiling = compiling
        self.checking = checking
        self.readers: dict[Any, Reader | str] = {}

    def __deepcopy__(self, memo: Any) -> Route:
        return Route(compiling=self.compiling, checking=self.checking)

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(Route, compiling=self.compiling, checking=self.checking), ()

    def read(
        self, cell: nn.Module, loop: Any, xs: Tensor, state: State, lengths: Tensor | None
    ) -> tuple[Tensor, State] | None:
        """As `Cell.forward`; None where `loop`, as `Cell.loop`, has to do it."""
        transformed = torch._C._functorch.peek_interpreter_stack()
        if torch.is_autocast_enabled(xs.device.type) or transformed:
            return None
        tensors = {**dict(cell.named_parameters()), **dict(cell.named_buffers())}
        call = Call(cell, loop, xs, state, lengths, tensors)
        key = _key(call)
        if key not in self.readers:
            self.readers[key] = self._reader(call)
        reader = self.readers[key]
        if isinstance(reader, str) or len(xs) > reader.most_rows:
            return None
        return reader.read(call)

    def _reader(self, call: Call) -> Reader | str:
        """One that gives what the loop gives, or why there is none."""
        try:
            reader = Reader(call, compiling=self.compiling)
        except RefusedError as error:
            return f"step by step ({error})"
        fault = _fault(reader, call) if self.checking else ""
        if fault and not reader.reason:  # the compiled loops; those of small operations may do
            reader.use_small_operations(fault)
            fault = _fault(reader, call)
        return f"step by step ({fault})" if fault else reader

    def describe(self) -> list[str]:
        """How the calls so far were read, each kind of answer once."""
        found = [
            each if isinstance(each, str) else each.describe() for each in self.readers.values()
        ]
        return list(dict.fromkeys(found))


def _fault(reader: Reader, call: Call) -> str:
    """How reading three random rows differs from the loop; nothing where it does not."""
    xs, lengths = call.xs, call.lengths
    with keep_random_state(xs.device), torch.enable_grad():
        torch.manual_seed(0)
        rows = torch.randn(3, 4, xs.shape[2], dtype=xs.dtype, device=xs.device)
        rows.requires_grad_(reader.backward and xs.requires_grad)
        ends = None if lengths is None else torch.tensor([4, 0, 2], device=lengths.device)
        first = cast(Any, call.cell).initial_state(3)
        trial = replace(call, xs=rows, state=first, lengths=ends)
        expected = outcome(trial, trial.loop, backward=reader.backward)
        try:
            found = outcome(trial, lambda *_: reader.read(trial), backward=reader.backward)
        except Exception as error:
            return f"its fast route failed: {first_line(error)}"
    tolerance = 1e-4 if xs.dtype == torch.float32 else 1e-8
    for wanted, got in zip(expected, found, strict=True):
        known = torch.zeros(()) if wanted is None else wanted.detach()
        difference = known - (torch.zeros_like(known) if got is None else got.detach())
        if not bool((difference.abs() <= tolerance * (1 + known.abs())).all()):
            return "its fast route gives other values than its steps"
    return ""


def outcome(call: Call, read: Any, *, backward: bool) -> list[Tensor | None]:
    """What `read`, as `call.loop`, gives: outputs, last state and, with `backward`, all gradients
    of a random sum of them. Random numbers are always the same ones."""
    torch.manual_seed(1)
    outputs, last = read(call.xs, call.state, call.lengths)
    results = [outputs, *leaves(last)]
    ends = [each for each in results if each.requires_grad]
    if not (ends and backward):
        return [*results]
    asked = [each for each in (call.xs, *call.tensors.values()) if each.requires_grad]
    seeds = [torch.randn_like(each) for each in ends]
    return [*results, *torch.autograd.grad(ends, asked, seeds, allow_unused=True)]


def _key(call: Call) -> Any:
    """What the trace of a step may depend on, beside values."""
    backward = call.backward
    options = [
        (name, value)
        for module in call.cell.modules()
        for name, value in vars(module).items()
        if isinstance(value, (int, float, str))
    ]
    kinds = [(each.dtype, each.device, each.requires_grad and backward) for each in call.given]
    shapes = [each.shape[1:] for each in leaves(call.state)]
    size = call.xs.shape[2]
    return backward, call.lengths is None, size, tuple(options), tuple(kinds), tuple(shapes)


class Reader:
    """Reads sequences of one kind. Raises RefusedError if that cannot be derived."""

    def __init__(self, call: Call, *, compiling: bool = True) -> None:
        self.backward = call.backward
        self.device = call.xs.device
        on_cpu = self.device.type == "cpu"
        with nullcontext() if on_cpu else self.device:  # where the trace makes its tensors
            self.derived = derive(call)
        self.saved = self.derived.saved
        self.loops: EagerLoops | CapturedLoops | CompiledLoops = EagerLoops()
        self.reason = "not compiled"
        """Why the loops are not compiled or captured; nothing where they are."""
        if compiling and self.device.type == "cuda":
            self.loops, self.reason = CapturedLoops(), ""
        elif compiling and on_cpu:
            self._compile()

    def _compile(self) -> None:
        try:
            from seqgen.fast.compiled import CompiledLoops

            self.loops, self.reason = CompiledLoops(self.derived), ""
        except Exception as error:  # numba is missing, an operation has no loop, no place for it
            self.reason = f"not compiled: {first_line(error)}"

    def use_small_operations(self, reason: str) -> None:
        """Take the loops that need no compiler."""
        self.loops, self.reason = EagerLoops(), reason

    def describe(self) -> str:
        """How sequences are read, and why not faster."""
        if self.device.type != "cpu":
            return f"in small operations ({self.reason})" if self.reason else "captured"
        if not self.reason:
            return "compiled"
        return f"derived up to {RECORDED_FROM - 1} rows, else step by step ({self.reason})"

    @property
    def most_rows(self) -> float:
        """Up to how many rows this is faster than the loop."""
        limited = self.reason and self.device.type == "cpu"
        return RECORDED_FROM - 1 if limited else math.inf

    def read(self, call: Call) -> tuple[Tensor, State]:
        """As `Cell.forward`."""
        first = list(leaves(call.state))
        if self.backward:
            apply: Any = _Reading.apply
            outputs, *changed = apply(self, call, *call.given)
        else:
            _, outputs, changed = self.run(call)
        for place, tensor in zip(self.derived.changing, changed, strict=True):
            first[place] = tensor
        return outputs, rebuild(call.state, first)

    def run(self, call: Call) -> tuple[Values, Tensor, list[Tensor]]:
        """Every value that crosses, the outputs `[batch, time, output]`, the leaves that change."""
        derived, first, (batch, time, _) = self.derived, list(leaves(call.state)), call.xs.shape
        values: Values = dict(zip(derived.params, call.tensors.values(), strict=True))
        values[derived.x] = call.xs.transpose(0, 1).reshape(time * batch, -1)
        if derived.live is not None and call.lengths is not None:
            steps = torch.arange(time, device=call.xs.device).unsqueeze(1)
            values[derived.live] = (call.lengths.to(call.xs.device) > steps).flatten()
        for place in derived.kept:
            each = first[place]
            values[derived.states[place]] = each.repeat(time, *[1] * (each.dim() - 1))
        draws = [_draw(node, batch) for node in derived.randoms]
        drawn = [[draw() for draw in draws] for _ in range(time if draws else 0)]
        for node, every in zip(derived.randoms, zip(*drawn, strict=True), strict=True):
            values[node] = torch.cat(every)
        self._at_once(Level.ONCE, values, 0)
        self._at_once(Level.BEFORE, values, time * batch)
        changing = [first[place] for place in derived.changing]
        following = self._in_time(Level.FORWARD, values, changing, time=time, batch=batch)
        self._at_once(Level.OUTPUTS, values, time * batch)
        outputs = values[derived.output].view(time, batch, -1).transpose(0, 1).contiguous()
        return values, outputs, following

    def _at_once(self, level: Level, values: Values, batch: int) -> None:
        part = self.derived.parts.get(level)
        if part is not None:
            results = part.run(batch, *(values[node] for node in part.inputs))
            values.update(zip(part.outputs, results, strict=True))

    def _in_time(
        self, level: Level, values: Values, state: Sequence[Tensor], *, time: int, batch: int
    ) -> list[Tensor]:
        loop = self.derived.loops.get(level)
        if loop is None:
            return [torch.zeros_like(each) for each in state]  # gradients: nothing depends on it
        try:
            return self.loops.run(loop, values, list(state), time=time, batch=batch)
        except RefusedError as error:
            self.use_small_operations(str(error))
            return self.loops.run(loop, values, list(state), time=time, batch=batch)

    def gradients(
        self, values: Values, shape: Sequence[int], of_outputs: Tensor, of_last: Sequence[Tensor]
    ) -> list[Tensor | None]:
        """Those of the inputs `[batch, time, input]`, of the first state and of the parameters."""
        derived, (batch, time, _) = self.derived, shape
        values[cast(fx.Node, derived.of_output)] = of_outputs.transpose(0, 1).reshape(
            time * batch, -1
        )
        self._at_once(Level.COTANGENTS, values, time * batch)
        of_changing = self._in_time(Level.BACKWARD, values, of_last, time=time, batch=batch)
        self._at_once(Level.AFTER, values, time * batch)
        of_xs = None
        if derived.of_x is not None:
            of_xs = values[derived.of_x].view(time, batch, -1).transpose(0, 1)
        of_first: list[Tensor | None] = [None] * len(derived.states)
        for place, tensor in zip(derived.changing, of_changing, strict=True):
            of_first[place] = tensor
        for place in derived.kept:
            node = derived.of_states[place]
            if node is not None:
                of_first[place] = by_time(values[node], time).sum(0)
        of_params = [None if node is None else values[node] for node in derived.of_params]
        return [of_xs, *of_first, *of_params]


class _Reading(torch.autograd.Function):
    """A whole sequence as one operation of autograd."""

    @staticmethod
    def forward(ctx: Any, reader: Reader, call: Call, *given: Tensor) -> Any:
        values, outputs, changed = reader.run(call)
        ctx.reader, ctx.call = reader, call
        ctx.save_for_backward(*given, *(values[node] for node in reader.saved))
        same = {id(each) for each in given}  # a state may be one of before, elsewhere
        return outputs, *(each.clone() if id(each) in same else each for each in changed)

    @staticmethod
    def backward(ctx: Any, of_outputs: Tensor, *of_last: Tensor) -> Any:
        reader, call = ctx.reader, ctx.call
        saved = ctx.saved_tensors
        if torch.is_grad_enabled():
            return None, None, *_twice(reader.derived, call, (of_outputs, *of_last))
        values: Values = dict(zip(reader.saved, saved[len(call.given) :], strict=True))
        return None, None, *reader.gradients(values, call.xs.shape, of_outputs, of_last)


def _twice(derived: Derived, call: Call, cotangents: Sequence[Tensor]) -> list[Tensor | None]:
    """The gradients, recorded so that they have gradients: by the loop, read again."""
    if derived.randoms:
        raise RuntimeError("a cell that draws random numbers has no second derivative here")
    outputs, last = call.loop(call.xs, call.state, call.lengths)
    every = list(leaves(last))
    results = [outputs, *(every[place] for place in derived.changing)]
    pairs = [pair for pair in zip(results, cotangents, strict=True) if pair[0].requires_grad]
    ends, seeds = zip(*pairs, strict=True)
    asked = [each for each in call.given if each.requires_grad]
    found = iter(torch.autograd.grad(ends, asked, seeds, create_graph=True, allow_unused=True))
    return [next(found) if each.requires_grad else None for each in call.given]


def _draw(node: fx.Node, batch: int) -> Any:
    """What draws the random numbers of `node` for one time, in the order of the loop's draws."""

    def value(each: Any) -> Any:
        if isinstance(each, fx.Node):
            return _draw(each, batch)()
        return batch if each == BATCH and not isinstance(each, bool) else each

    args, kwargs = pytree.tree_map(value, (node.args, node.kwargs), is_leaf=is_node)
    return partial(cast(Any, node.target), *args, **kwargs)
