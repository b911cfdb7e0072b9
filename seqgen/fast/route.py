"""A cell's fast route: its derived parts run over a whole sequence, forward and backward."""

from __future__ import annotations

from collections.abc import Sequence
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
    TimeLoop,
    Values,
    derive,
    first_line,
    has_batch,
    is_node,
)
from seqgen.state import State, leaves, rebuild

if TYPE_CHECKING:  # numba may be missing, and takes a while to load
    from seqgen.fast.compiled import CompiledLoops

RECORDED_FROM = 17
"""From so many rows on a loop recorded by autograd is as fast as one of small operations."""


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
        if isinstance(reader, str) or (reader.reason and len(xs) >= RECORDED_FROM):
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
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
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
        self.derived = derive(call)
        self.saved = self.derived.saved
        self.loops: EagerLoops | CompiledLoops = EagerLoops()
        self.reason = "not compiled"
        """Why the loops are not compiled; nothing where they are."""
        if compiling and any(each.device.type != "cpu" for each in call.given):
            self.reason = "not compiled: not on a CPU"
        elif compiling:
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
        if not self.reason:
            return "compiled"
        return f"derived up to {RECORDED_FROM - 1} rows, else step by step ({self.reason})"

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
        if loop is not None:
            return self.loops.run(loop, values, list(state), time=time, batch=batch)
        return [torch.zeros_like(each) for each in state]  # its gradients: nothing depends on it

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
                of_first[place] = _by_time(values[node], time).sum(0)
        of_params = [None if node is None else values[node] for node in derived.of_params]
        return [of_xs, *of_first, *of_params]


def _by_time(value: Tensor, time: int) -> Tensor:
    return value.view(time, -1, *value.shape[1:])


class EagerLoops:
    """Loops over time, node by node."""

    def run(
        self, loop: TimeLoop, values: Values, state: list[Tensor], *, time: int, batch: int
    ) -> list[Tensor]:
        """All steps from `state`: puts what crosses into `values`, returns the last state."""
        once = loop.once.run(batch, *(values[node] for node in loop.once.inputs))
        known = {**values, **dict(zip(loop.once.outputs, once, strict=True))}
        columns = [
            () if node in loop.holders
            else _by_time(known[node], time).unbind(0) if has_batch(node)
            else [known[node]] * time
            for node in loop.step.inputs
        ]  # fmt: skip
        places = [
            (place, loop.holders.index(node))
            for place, node in enumerate(loop.step.inputs)
            if node in loop.holders
        ]
        outputs = loop.step.outputs
        kept = [outputs.index(node) for node in loop.leaving]
        ends = [None if node is None else outputs.index(node) for node in loop.following]
        rows: list[list[Tensor]] = []
        for t in range(time)[:: -1 if loop.level == Level.BACKWARD else 1]:
            arguments = [column[t] if column else None for column in columns]
            for place, holder in places:
                arguments[place] = state[holder]
            results = loop.step.run(batch, *arguments)
            rows.append([*state, *(results[index] for index in kept)])
            state = [
                torch.zeros_like(old) if end is None else results[end]
                for end, old in zip(ends, state, strict=True)
            ]
        if loop.level == Level.BACKWARD:
            rows.reverse()
        for node, every in zip(
            [*loop.holders, *loop.leaving], zip(*rows, strict=True), strict=True
        ):
            values[node] = torch.cat(every)
        return state


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
