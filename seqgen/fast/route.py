"""A cell's fast route: its derived parts run over a whole sequence, forward and backward."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, fx, nn
from torch.utils import _pytree as pytree

from seqgen.fast import derive as parts
from seqgen.fast.derive import BACKWARD, BATCH, FORWARD, Derived, Part, RefusedError, has_batch
from seqgen.state import State, leaves, rebuild

if TYPE_CHECKING:  # numba may be missing, and takes a while to load
    from seqgen.fast.compiled import CompiledLoops

Loop = Callable[[Tensor, State, Tensor | None], tuple[Tensor, State]]
"""What reads a sequence step by step, recorded by autograd."""

Values = dict[fx.Node, Tensor]
"""By node; what has times is `[time * batch, ...]`, time after time."""


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
        self, cell: nn.Module, loop: Loop, xs: Tensor, state: State, lengths: Tensor | None
    ) -> tuple[Tensor, State] | None:
        """As `Cell.forward`; None where the loop has to do it."""
        if (
            torch.is_autocast_enabled(xs.device.type)
            or torch._C._functorch.peek_interpreter_stack()
        ):
            return None
        tensors = {**dict(cell.named_parameters()), **dict(cell.named_buffers())}
        key = _key(cell, tensors, xs, state, lengths)
        if key not in self.readers:
            self.readers[key] = self._reader(cell, tensors, loop, xs, state, lengths)
        reader = self.readers[key]
        if isinstance(reader, str) or (reader.reason and xs.shape[0] >= RECORDED_FROM):
            return None
        return reader.read(loop, xs, state, lengths, list(tensors.values()))

    def _reader(
        self,
        cell: nn.Module,
        tensors: dict[str, Tensor],
        loop: Loop,
        xs: Tensor,
        state: State,
        lengths: Tensor | None,
    ) -> Reader | str:
        """One that gives what the loop gives, or why there is none."""
        try:
            reader = Reader(cell, tensors, xs, state, lengths, compiling=self.compiling)
        except RefusedError as error:
            return f"step by step ({error})"
        if self.checking:
            for _ in range(2):  # should the compiled loops fail, those of small operations may do
                fault = _fault(reader, cell, loop, xs, lengths, list(tensors.values()))
                if not fault or reader.reason:
                    break
                reader.use_small_operations(fault)
            if fault:
                return f"step by step ({fault})"
        return reader

    def describe(self) -> list[str]:
        """How the calls so far were read, each kind of answer once."""
        found = [
            each if isinstance(each, str) else each.describe() for each in self.readers.values()
        ]
        return list(dict.fromkeys(found))


def _fault(
    reader: Reader,
    cell: nn.Module,
    loop: Loop,
    xs: Tensor,
    lengths: Tensor | None,
    params: list[Tensor],
) -> str:
    """How reading three random rows differs from the loop; nothing where it does not."""
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.manual_seed(0)
        rows = torch.randn(3, 4, xs.shape[2], dtype=xs.dtype, device=xs.device)
        rows.requires_grad_(reader.backward and xs.requires_grad)
        first = cast(Any, cell).initial_state(3)
        ends = None if lengths is None else torch.tensor([4, 0, 2], device=lengths.device)
        found: list[list[Tensor | None]] = []
        for read in (loop, partial(reader.read, loop, params=params)):
            torch.manual_seed(1)
            try:
                outputs, last = read(rows, first, ends)
                results = [outputs, *leaves(last)]
                ended = [each for each in results if each.requires_grad]
                asked = [each for each in (rows, *params) if each.requires_grad]
                seeds = [torch.randn_like(each) for each in ended]
                gradients = (
                    torch.autograd.grad(ended, asked, seeds, allow_unused=True)
                    if ended and reader.backward
                    else ()
                )
            except Exception as error:
                if read is loop:
                    raise
                return f"its fast route failed: {str(error).splitlines()[0]}"
            found.append([*results, *gradients])
    tolerance = 1e-4 if xs.dtype == torch.float32 else 1e-8
    for wanted, got in zip(*found, strict=True):
        known = torch.zeros(()) if wanted is None else wanted.detach()
        difference = known - (torch.zeros_like(known) if got is None else got.detach())
        if not bool((difference.abs() <= tolerance * (1 + known.abs())).all()):
            return "its fast route gives other values than its steps"
    return ""


def _key(
    cell: nn.Module, tensors: dict[str, Tensor], xs: Tensor, state: State, lengths: Tensor | None
) -> Any:
    """What the trace of a step may depend on, beside values."""
    grad = torch.is_grad_enabled() and (
        xs.requires_grad or any(each.requires_grad for each in (*tensors.values(), *leaves(state)))
    )
    options = tuple(
        (name, value)
        for module in cell.modules()
        for name, value in vars(module).items()
        if isinstance(value, bool | int | float | str)
    )
    every = [xs, *leaves(state), *tensors.values()]
    kinds = tuple((each.dtype, each.device, each.requires_grad and grad) for each in every)
    shapes = tuple(each.shape[1:] for each in leaves(state))
    return grad, lengths is None, xs.shape[2], options, kinds, shapes


class Reader:
    """Reads sequences of one kind. Raises RefusedError if that cannot be derived."""

    def __init__(
        self,
        cell: nn.Module,
        tensors: dict[str, Tensor],
        xs: Tensor,
        state: State,
        lengths: Tensor | None,
        *,
        compiling: bool = True,
    ) -> None:
        self.backward = torch.is_grad_enabled() and any(
            each.requires_grad for each in (xs, *tensors.values(), *leaves(state))
        )
        self.derived = parts.derive(
            cell, tensors, xs[:, 0], state, lengths=lengths is not None, backward=self.backward
        )
        self.loops: EagerLoops | CompiledLoops
        self.reason = ""
        """Why the loops are not compiled; nothing where they are."""
        if compiling:
            self._compile([xs, *leaves(state), *tensors.values()])
        else:
            self.use_small_operations("not compiled")
        later = [part for level, part in self.derived.parts.items() if level > parts.OUTPUTS]
        made = {node for part in later for node in part.outputs} | set(self.derived.cotangents)
        needed = dict.fromkeys(node for part in later for node in part.inputs)
        self.saved = [node for node in needed if node not in made]

    def _compile(self, tensors: Sequence[Tensor]) -> None:
        if any(each.device.type != "cpu" for each in tensors):
            self.use_small_operations("not compiled: not on a CPU")
            return
        try:
            from seqgen.fast.compiled import CompiledLoops
            from seqgen.fast.write import UnwritableError
        except ImportError as error:
            self.use_small_operations(f"not compiled: {error}")
            return
        try:
            self.loops = CompiledLoops(self.derived)
        except (UnwritableError, OSError) as error:
            self.use_small_operations(f"not compiled: {error}")

    def describe(self) -> str:
        """How sequences are read, and why not faster."""
        if not self.reason:
            return "compiled"
        return f"derived up to {RECORDED_FROM - 1} rows, else step by step ({self.reason})"

    def use_small_operations(self, reason: str) -> None:
        """Take the loops that need no compiler."""
        self.loops, self.reason = EagerLoops(self.derived), reason

    def read(
        self, loop: Loop, xs: Tensor, state: State, lengths: Tensor | None, params: list[Tensor]
    ) -> tuple[Tensor, State]:
        """As `Cell.forward`."""
        first = list(leaves(state))
        if self.backward:
            again = (self, loop, state, lengths)
            apply: Any = _Reading.apply
            outputs, *changed = apply(again, len(first), xs, *first, *params)
        else:
            _, outputs, changed = self.run(xs, first, lengths, params)
        for place, tensor in zip(self.derived.changing, changed, strict=True):
            first[place] = tensor
        return outputs, rebuild(state, first)

    def run(
        self, xs: Tensor, first: Sequence[Tensor], lengths: Tensor | None, params: Sequence[Tensor]
    ) -> tuple[Values, Tensor, list[Tensor]]:
        """Every value that crosses, the outputs `[batch, time, output]`, the leaves that change."""
        derived, (batch, time, _) = self.derived, xs.shape
        values: Values = dict(zip(derived.params, params, strict=True))
        values[derived.x] = xs.transpose(0, 1).reshape(time * batch, -1)
        if derived.live is not None and lengths is not None:
            steps = torch.arange(time, device=xs.device).unsqueeze(1)
            values[derived.live] = (lengths.to(xs.device) > steps).flatten()
        for place in derived.kept:
            values[derived.states[place]] = first[place].repeat(
                time, *[1] * (first[place].dim() - 1)
            )
        self._draw(values, time, batch)
        self._at_once(parts.ONCE, values, 0)
        self._at_once(parts.BEFORE, values, time * batch)
        changing = [first[place] for place in derived.changing]
        following = self.loops.forward(values, changing, time, batch)
        self._at_once(parts.OUTPUTS, values, time * batch)
        outputs = values[derived.output].view(time, batch, -1).transpose(0, 1).contiguous()
        return values, outputs, following

    def _draw(self, values: Values, time: int, batch: int) -> None:
        """Random numbers in the order in which the loop would draw them."""
        randoms = self.derived.randoms
        calls = [_call(node, batch) for node in randoms]
        drawn: list[list[Tensor]] = [[] for _ in randoms]
        for _ in range(time if randoms else 0):
            for (target, args, kwargs), each in zip(calls, drawn, strict=True):
                each.append(target(*args, **kwargs))
        for node, each in zip(randoms, drawn, strict=True):
            values[node] = torch.cat(each)

    def _at_once(self, level: int, values: Values, batch: int) -> None:
        part = self.derived.parts.get(level)
        if part is not None:
            results = part.run(batch, *(values[node] for node in part.inputs))
            values.update(zip(part.outputs, results, strict=True))

    def gradients(
        self, values: Values, time: int, batch: int, of_outputs: Tensor, of_last: Sequence[Tensor]
    ) -> tuple[Tensor | None, list[Tensor | None], list[Tensor | None]]:
        """Those of `xs`, of the leaves of the first state and of the parameters."""
        derived = self.derived
        values[derived.cotangents[0]] = of_outputs.transpose(0, 1).reshape(time * batch, -1)
        self._at_once(parts.COTANGENTS, values, time * batch)
        of_changing = self.loops.backward(values, list(of_last), time, batch)
        self._at_once(parts.AFTER, values, time * batch)
        of_x = None
        if derived.of_x is not None:
            of_x = values[derived.of_x].view(time, batch, -1).transpose(0, 1)
        of_first: list[Tensor | None] = [None] * len(derived.states)
        for place, tensor in zip(derived.changing, of_changing, strict=True):
            of_first[place] = tensor
        for place in derived.kept:
            node = derived.of_states[place]
            if node is not None:
                every = values[node]
                total = every.view(time, batch, *every.shape[1:]).sum(0)
                of_first[place] = total
        of_params = [None if node is None else values[node] for node in derived.of_params]
        return of_x, of_first, of_params


class EagerLoops:
    """The loops over time, node by node."""

    def __init__(self, derived: Derived) -> None:
        self.derived = derived
        self.states = [derived.states[place] for place in derived.changing]
        read = {node for part in derived.parts.values() for node in part.inputs}
        self.needed = read | {derived.output}
        levels = [level for level in (FORWARD, BACKWARD) if level in derived.parts]
        self.steps = {level: hoisted(derived.parts[level]) for level in levels}

    def forward(self, values: Values, state: list[Tensor], time: int, batch: int) -> list[Tensor]:
        """All steps from `state`: puts what crosses into `values`, returns the last state."""
        following = self.derived.following
        return self._steps(FORWARD, values, self.states, state, following, range(time), batch)

    def backward(self, values: Values, state: list[Tensor], time: int, batch: int) -> list[Tensor]:
        """From the gradients of the last state those of the first; what crosses as in `forward`."""
        if BACKWARD not in self.derived.parts:
            return [torch.zeros_like(each) for each in state]
        following = [self.derived.of_states[place] for place in self.derived.changing]
        holders, times = self.derived.cotangents[1:], range(time)[::-1]
        return self._steps(BACKWARD, values, holders, state, following, times, batch)

    def _steps(
        self,
        level: int,
        values: Values,
        holders: list[fx.Node],
        state: list[Tensor],
        following: Sequence[fx.Node | None],
        times: range,
        batch: int,
    ) -> list[Tensor]:
        """`state` stands at `holders` when a step begins, and at `following` when it ends."""
        part, step = self.derived.parts[level], self.steps[level]
        once = step.once(*(values[node] for node in step.given))
        known = {**values, **dict(zip(step.fixed, once, strict=True))}
        columns: list[Sequence[Tensor]] = [
            () if node in holders else _by_time(known[node], len(times)) if has_batch(node)
            else [known[node]] * len(times)
            for node in step.inputs
        ]  # fmt: skip
        places = [
            (place, holders.index(node))
            for place, node in enumerate(step.inputs)
            if node in holders
        ]
        kept = [index for index, node in enumerate(part.outputs) if node in self.needed]
        ends = [None if node is None else part.outputs.index(node) for node in following]
        rows: list[tuple[list[Tensor], list[Tensor]]] = []
        for t in times:
            arguments = [column[t] if column else None for column in columns]
            for place, holder in places:
                arguments[place] = state[holder]
            results = step.run(batch, *arguments)
            rows.append((state, [results[index] for index in kept]))
            state = [
                torch.zeros_like(old) if end is None else results[end]
                for end, old in zip(ends, state, strict=True)
            ]
        rows = rows[:: times.step]
        for index, node in enumerate(holders):
            if node in self.needed:
                values[node] = torch.cat([befores[index] for befores, _ in rows])
        for index, place in enumerate(kept):
            values[part.outputs[place]] = torch.cat([made[index] for _, made in rows])
        return state


@dataclass(frozen=True)
class Step:
    """A part in two functions: what has no batch, `once(*given)`, and the rest, which gets that."""

    once: Callable[..., Sequence[Tensor]]
    given: list[fx.Node]
    fixed: list[fx.Node]
    run: Callable[..., Sequence[Tensor]]
    inputs: list[fx.Node]


def hoisted(part: Part) -> Step:
    """`part` for a loop: a weight is transposed once and not at each time."""
    before, after = fx.Graph(), fx.Graph()
    batch, *given = [node for node in part.run.graph.nodes if node.op == "placeholder"]
    fixed = {
        node: before.placeholder(node.name)
        for node, each in zip(given, part.inputs, strict=True)
        if not has_batch(each)
    }
    early = list(fixed)
    nodes = [node for node in part.run.graph.nodes if node.op == "call_function"]
    for node in nodes:
        if node.all_input_nodes and all(each in fixed for each in node.all_input_nodes):
            fixed[node] = before.node_copy(node, fixed.__getitem__)
    rest = [node for node in nodes if node not in fixed]
    last = next(node for node in part.run.graph.nodes if node.op == "output")
    crossing = list(
        dict.fromkeys(
            each for node in [*rest, last] for each in node.all_input_nodes if each in fixed
        )
    )
    before.output([fixed[node] for node in crossing])
    timed = [node for node in given if node not in fixed]
    copies = {node: after.placeholder(node.name) for node in [batch, *timed, *crossing]}
    for node in rest:
        copies[node] = after.node_copy(node, copies.__getitem__)
    after.output(fx.map_arg(last.args[0], copies.__getitem__))
    names = dict(zip(given, part.inputs, strict=True))
    root = nn.Module()
    return Step(
        fx.GraphModule(root, before).forward,
        [names[node] for node in early],
        crossing,
        fx.GraphModule(root, after).forward,
        [*(names[node] for node in timed), *crossing],
    )


def _by_time(value: Tensor, time: int) -> Sequence[Tensor]:
    return value.view(time, -1, *value.shape[1:]).unbind(0)


class _Reading(torch.autograd.Function):
    """A whole sequence as one operation of autograd."""

    @staticmethod
    def forward(ctx: Any, again: tuple[Any, ...], states: int, xs: Tensor, *rest: Tensor) -> Any:
        reader, loop, state, lengths = again
        first, params = rest[:states], rest[states:]
        values, outputs, changed = reader.run(xs, first, lengths, params)
        ctx.again, ctx.states, ctx.shape = again, states, xs.shape
        ctx.save_for_backward(xs, *rest, *(values[node] for node in reader.saved))
        del loop, state
        given = {id(each) for each in first}  # a state may be one of before, elsewhere
        return outputs, *(each.clone() if id(each) in given else each for each in changed)

    @staticmethod
    def backward(ctx: Any, of_outputs: Tensor, *of_last: Tensor) -> Any:
        reader, loop, state, lengths = ctx.again
        given = ctx.saved_tensors
        inputs = given[: len(given) - len(reader.saved)]
        if torch.is_grad_enabled():
            return None, None, *_twice(reader, loop, state, lengths, inputs, (of_outputs, *of_last))
        values = dict(zip(reader.saved, given[len(inputs) :], strict=True))
        batch, time, _ = ctx.shape
        of_x, of_first, of_params = reader.gradients(values, time, batch, of_outputs, of_last)
        return None, None, of_x, *of_first, *of_params


def _twice(
    reader: Reader,
    loop: Loop,
    state: State,
    lengths: Tensor | None,
    inputs: Sequence[Tensor],
    cotangents: Sequence[Tensor],
) -> list[Tensor | None]:
    """The gradients, recorded so that they have gradients: by the loop, read again."""
    if reader.derived.randoms:
        raise RuntimeError("a cell that draws random numbers has no second derivative here")
    xs, *rest = inputs
    count = sum(1 for _ in leaves(state))
    outputs, last = loop(xs, rebuild(state, rest[:count]), lengths)
    every = list(leaves(last))
    changed = [every[place] for place in reader.derived.changing]
    ends = [(end, seed) for end, seed in zip((outputs, *changed), cotangents, strict=True)]
    ends = [(end, seed) for end, seed in ends if end.requires_grad]
    asked = [each for each in inputs if each.requires_grad]
    found = iter(
        torch.autograd.grad(
            [end for end, _ in ends], asked, [seed for _, seed in ends],
            create_graph=True, allow_unused=True,
        )
    )  # fmt: skip
    return [next(found) if each.requires_grad else None for each in inputs]


def _call(node: fx.Node, batch: int) -> tuple[Any, Any, Any]:
    """The operation of `node`, which depends on no value, and its arguments for `batch` rows."""

    def value(each: Any) -> Any:
        if isinstance(each, fx.Node):
            target, args, kwargs = _call(each, batch)
            return target(*args, **kwargs)
        return batch if each == BATCH and not isinstance(each, bool) else each

    args, kwargs = pytree.tree_map(value, (node.args, node.kwargs), is_leaf=parts.is_node)
    return node.target, args, kwargs
