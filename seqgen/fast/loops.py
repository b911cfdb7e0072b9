"""Loops over time that need no compiler: of small operations, on a GPU captured as one launch."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from seqgen.fast.derive import Level, RefusedError, TimeLoop, Values, first_line, has_batch

MOST_GRAPHS = 16
"""Of a cell's loops, for each shape and direction: each keeps all its values in memory."""

Recorded = tuple[list[Tensor], Callable[[], None]]
"""Results, and what computes them anew, in their places, from what stands in the places of what
they were computed from."""


def by_time(value: Tensor, time: int) -> Tensor:
    """`[time * batch, ...]` as `[time, batch, ...]`."""
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
            else by_time(known[node], time).unbind(0) if has_batch(node)
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


def capture(work: Callable[[], list[Tensor]]) -> Recorded:
    """`work` as a CUDA graph."""
    side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):  # libraries prepare themselves in a first run
        work()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    here = torch.cuda.stream(torch.cuda.current_stream())  # to come back to, also from a failure
    with here, torch.cuda.graph(graph, capture_error_mode="thread_local"):
        results = work()
    return results, graph.replay


class CapturedLoops:
    """EagerLoops, of which `record` makes for each shape what runs all steps at once.

    Values are copied in and out, so a reading finds nothing in a graph that another one has
    changed. No step draws random numbers: those are among the values. Shapes after the first
    MOST_GRAPHS run node by node.
    """

    def __init__(self, record: Callable[[Callable[[], list[Tensor]]], Recorded] = capture) -> None:
        self.record = record
        self.graphs: dict[Any, tuple[list[Tensor], list[Tensor], Callable[[], None]]] = {}

    def run(
        self, loop: TimeLoop, values: Values, state: list[Tensor], *, time: int, batch: int
    ) -> list[Tensor]:
        """As that of EagerLoops. Raises RefusedError if the loop cannot be recorded."""
        made = {*loop.holders, *loop.once.outputs}
        every = dict.fromkeys((*loop.once.inputs, *loop.step.inputs))
        inputs = [node for node in every if node not in made]
        outputs = [*loop.holders, *loop.leaving]
        given = [*(values[node] for node in inputs), *state]

        def work(places: list[Tensor]) -> list[Tensor]:
            known, first = dict(zip(inputs, places, strict=False)), places[len(inputs) :]
            last = EagerLoops().run(loop, known, first, time=time, batch=batch)
            return [*(known[node] for node in outputs), *last]

        key = loop.level, time, batch
        if key not in self.graphs and len(self.graphs) < MOST_GRAPHS:
            try:
                with torch.inference_mode(False), torch.no_grad():
                    places = [each.clone(memory_format=torch.contiguous_format) for each in given]
                    self.graphs[key] = places, *self.record(partial(work, places))
            except Exception as error:
                raise RefusedError(f"not captured: {first_line(error)}") from error
        if key in self.graphs:
            places, results, again = self.graphs[key]
            torch._foreach_copy_(places, given)
            again()
            found = [each.clone() for each in results]
        else:
            found = work(given)
        values.update(zip(outputs, found, strict=False))
        return found[len(outputs) :]
