"""A text as a compiled function: step, truncations and draw of one row, token by token.

The step of whatever gives the scores is traced, as a cell's is for training. What neither a token
nor the state decides is computed once; a row that a token looks up is a place in its table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor, fx

from seqgen.fast.derive import Level, Part, TimeLoop
from seqgen.fast.elements import UnwritableError
from seqgen.fast.trace import BATCH, has_batch, is_view, without_mutations
from seqgen.fast.write import Writer
from seqgen.state import State, leaves, rebuild

aten = torch.ops.aten
LOOKED_UP = {
    aten.index_select.default: 2, aten.embedding.default: 1, aten.index.Tensor: 1
}  # fmt: skip
"""Operations that take rows of a table, and where they have the row numbers."""
TRUNCATIONS = ("top_k", "top_p", "min_p", "typical", "epsilon", "eta", "top_n_sigma")
"""What a compiled text can do to a distribution, by their places in `draws.truncate`."""
HEADER = "from seqgen.fast.draws import choose\n\n\n"
BLOCK = 64
"""How many tokens a call makes."""

Step = Callable[[Tensor, State], tuple[Tensor, State]]
"""Takes tokens `[rows]` and a state, returns scores `[rows, vocab]` and the next state."""
Block = tuple[Tensor, Tensor, State]
"""New tokens `[time]`, the scores of each, and the state after them."""


class Choice(NamedTuple):
    """How a token is chosen: from the softmax of the scores over `temperature` (0 takes the best),
    cut by each of `truncations`, one of TRUNCATIONS with its numbers; with `temperature_last` these
    see the softmax at 1."""

    temperature: float
    truncations: tuple[tuple[str, tuple[float, ...]], ...] = ()
    temperature_last: bool = False


def compiled_text(step: Step, tokens: Tensor, state: State, choice: Choice) -> CompiledText | None:
    """What generates as `step` and `choice` say, from a single row; None where nothing can be
    compiled, or where that would give other scores than three steps do."""
    if tokens.device.type != "cpu":
        return None
    step(tokens, state)  # what is prepared at the first step must not be a part of the trace
    try:
        text = CompiledText(step, tokens, state, choice)
        for point in torch.tensor([[0.2], [0.5], [0.8]], dtype=torch.float64):
            found, given, new = text.run(int(tokens), state, points=point, ends=())
            scores, following = step(tokens, state)
            pairs = [(given, scores[:, found]), *zip(leaves(new), leaves(following), strict=True)]
            if not all(torch.allclose(one, other, 1e-4, 1e-4) for one, other in pairs):
                return None
            tokens, state = found, following
    except Exception:  # numba is missing, an operation has no loop, a step asks for values
        return None
    return text


class CompiledText:
    """Takes the steps of one row, many in a call. Raises UnwritableError, or what the trace raises,
    if there is no loop for them."""

    def __init__(self, step: Step, tokens: Tensor, state: State, choice: Choice) -> None:
        from seqgen.fast.compiled import load

        with torch.inference_mode(mode=False), torch.no_grad():
            loop, given = _time_loop(_trace(step, tokens, state))
        written = Writer(loop, looked_up=given.keys()).write(choosing=True)
        self.function, self.arguments = load(HEADER + written.source), written.arguments
        self.made, self.vocab = written.made, loop.leaving[0].meta["val"].shape[1]
        cuts = np.zeros((len(choice.truncations), 3))
        for row, (name, numbers) in zip(cuts, choice.truncations, strict=True):
            row[: 1 + len(numbers)] = TRUNCATIONS.index(name), *numbers
        self.arrays: dict[str, Any] = {
            "shares": np.empty(self.vocab),
            "temperature": float(choice.temperature),
            "truncations": cuts,
            "last": choice.temperature_last,
        }
        for number, node in enumerate(loop.part.inputs):
            if node in given:
                self.arrays[f"i{number}"] = _flat(given[node].detach().contiguous())

    def blocks(
        self,
        token: int,
        state: State,
        points: Callable[[Tensor], Tensor],
        *,
        most: int,
        ends: Sequence[int],
    ) -> Iterator[Block]:
        """Generate after `token` until one of `ends` comes, or scores from which no search goes
        on, at most `most` tokens. `points(steps)` are uniform numbers for steps `[time]`."""
        for begin in range(0, most, BLOCK):
            steps = torch.arange(begin, min(begin + BLOCK, most))
            found, given, state = self.run(token, state, points=points(steps), ends=ends)
            if len(found):
                yield found, given, state
                token = int(found[-1])
            if len(found) < len(steps) or token in ends:
                return

    def run(self, token: int, state: State, *, points: Tensor, ends: Sequence[int]) -> Block:
        """The tokens after `token`, at most as many as `points: [time]`, in (0, 1) in float64."""
        time = len(points)
        tokens = torch.full((time + 1,), token)
        states = [each.new_empty(time + 1, *each.shape[1:]) for each in leaves(state)]
        for every, first in zip(states, leaves(state), strict=True):
            every[0] = first[0]
        arrays = {f"s{number}": _flat(each) for number, each in enumerate(states)}
        for name, (row, dtype) in self.made.items():
            arrays[name] = _flat(torch.empty(time * row, dtype=dtype))
        arrays |= {"tokens": tokens.numpy(), "points": points.numpy(), "ends": np.array(ends, int)}
        arrays |= self.arrays
        steps = self.function(time, 1, 0, 1, *(arrays[name] for name in self.arguments))
        scores = torch.from_numpy(arrays["o0"]).view(time, self.vocab)[:steps]
        found = tokens[1 : steps + 1]
        given = scores.gather(1, found.unsqueeze(1)).squeeze(1)
        return found, given, rebuild(state, [each[steps : steps + 1] for each in states])


def _flat(tensor: Tensor) -> Any:
    return tensor.view(-1).numpy()


def _trace(step: Callable[..., Any], tokens: Tensor, state: State) -> fx.GraphModule:
    """The graph of a step: row numbers and leaves of a state to scores and leaves."""

    def flat(numbers: Tensor, *states: Tensor) -> list[Tensor]:
        scores, following = step(numbers, rebuild(state, states))
        return [scores, *leaves(following)]

    with torch._subclasses.FakeTensorMode(allow_non_fake_inputs=True):
        inputs = [
            torch.empty(BATCH, *each.shape[1:], dtype=each.dtype)
            for each in (tokens, *leaves(state))
        ]
    return without_mutations(flat, *inputs)


def _time_loop(module: fx.GraphModule) -> tuple[TimeLoop, dict[fx.Node, Tensor]]:
    """The loop of a graph from `_trace`, and the tensors of those inputs that never change: what
    follows from parameters alone, and tables of which each step reads a row."""
    graph = module.graph
    known: dict[fx.Node, Tensor] = {}
    given: dict[fx.Node, Tensor] = {}
    numbers, *holders = (node for node in graph.nodes if node.op == "placeholder")

    def hold(node: fx.Node, value: Tensor) -> None:
        with graph.inserting_before(numbers):
            held = graph.placeholder(f"held_{len(given)}")
        held.meta["val"] = node.meta.get("val", value)
        given[held] = value
        node.replace_all_uses_with(held)

    for node in list(graph.nodes)[:-1]:
        needed = node.all_input_nodes
        if node.op == "get_attr":
            known[node] = getattr(module, cast(str, node.target))
        elif node.op == "call_function" and numbers in needed:
            table, rows = node.args[0], node.args[LOOKED_UP.get(node.target, 0)]
            if rows not in (numbers, [numbers]) or table not in known:
                raise UnwritableError(f"a token in {node.target}")
            hold(node, known[cast(fx.Node, table)])
        elif needed and known.keys() >= {*needed} and not has_batch(node):
            args, kwargs = fx.map_arg((node.args, node.kwargs), known.__getitem__)
            known[node] = cast(Any, node.target)(*args, **kwargs)
    for node, value in known.items():
        if not is_view(node) and any(each not in known or is_view(each) for each in node.users):
            hold(node, value)
    graph.eliminate_dead_code()
    graph.erase_node(numbers)
    for held in list(given):
        if not held.users:
            del given[held]
            graph.erase_node(held)
    graph.lint()
    inputs = [node for node in graph.nodes if node.op == "placeholder"]
    outputs = cast(list[fx.Node], list(graph.nodes)[-1].args[0])
    scores, *following = outputs
    run = fx.GraphModule(module, graph).forward
    part = Part(lambda _, *values: run(*values), inputs, list(dict.fromkeys(outputs)))
    return TimeLoop(Level.FORWARD, part, part, part, holders, list(following), [scores]), given
