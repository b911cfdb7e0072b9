"""How fast cells read sequences, forward and backward: torch's kernels, loops and fast routes.

    python benchmarks/cell_speed.py [--shapes 0123] [--threads 1 2] [--rounds 9]

For each shape, cell and number of threads the least time of some rounds in turn, in thousand
tokens a second, of three ways: torch's own kernel where there is one, the cell's step in a loop
that autograd records, and its fast route (compiled, and in small operations as where no compiler
is). The ratios compare each at its best number of threads. Prints a table in Markdown.

`step` is a long short-term memory as in `docs/plugins`, a step alone; `dropped` is one with dropout
on its output; `stacked` two of them with dropout between, `weight_drop` one with its recurrent
weights dropped.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from seqgen.cells import Cell, cells, take_fast_routes
from seqgen.state import State

SHAPES = [(32, 100, 100, 128), (64, 64, 256, 256), (64, 100, 256, 512), (1, 200, 100, 128)]
"""Batch, time, input and hidden size; the last one is the lecture's."""


@cells.register("step")
class Step(Cell):
    """A long short-term memory, one step written out."""

    def __init__(self, input_size: int, hidden_size: int = 128, dropout: float = 0.0) -> None:
        super().__init__()
        self.output_size = hidden_size
        self.dropout = dropout
        self.of_input = nn.Linear(input_size, 4 * hidden_size)
        self.of_hidden = nn.Linear(hidden_size, 4 * hidden_size)

    def initial_state(self, batch_size: int) -> State:
        """Zeros."""
        zeros = self.of_input.weight.new_zeros(batch_size, self.output_size)
        return zeros, zeros

    def step(self, x: Tensor, state: Any) -> tuple[Tensor, State]:
        """Equations of `seqgen list cells lstm`."""
        hidden, memory = state
        i, f, g, o = (self.of_input(x) + self.of_hidden(hidden)).chunk(4, 1)
        memory = torch.sigmoid(f) * memory + torch.sigmoid(i) * torch.tanh(g)
        hidden = torch.sigmoid(o) * torch.tanh(memory)
        return nn.functional.dropout(hidden, self.dropout, self.training), (hidden, memory)


def around(hidden: int) -> dict[str, Any]:
    """The specs of the cells by their names in the table."""
    step = {"name": "step", "hidden_size": hidden}
    return {
        "step": step,
        "gru_cell": {"name": "gru_cell", "hidden_size": hidden},
        "layer_norm_lstm": {"name": "layer_norm_lstm", "hidden_size": hidden},
        "slstm": {"name": "slstm", "hidden_size": hidden},
        "dropped": {**step, "dropout": 0.3},
        "stacked": {"name": "stack", "cells": [step, step], "dropout": 0.3},
        "weight_drop": {
            "name": "weight_drop",
            "rate": 0.3,
            "weights": ["of_hidden.weight"],
            "cell": step,
        },
        "gru": {"name": "gru", "hidden_size": hidden},
        "rnn": {"name": "rnn", "hidden_size": hidden},
    }


NATIVE = {"step": nn.LSTM, "gru_cell": nn.GRU, "gru": nn.GRU, "rnn": nn.RNN}


def main() -> None:
    """Measure each shape and cell, and print the table."""
    options = _options()
    print("| batch, time, input, hidden | cell | kernel | loop | small operations | compiled "
          "| compiled / kernel | compiled / loop | small / loop |")  # fmt: skip
    print("|" + "---|" * 9)
    for shape in (SHAPES[int(each)] for each in options.shapes):
        _, time_steps, _, hidden = shape
        for name, spec in around(hidden).items():
            if options.cells and name not in options.cells:
                continue
            best = best_of(ways(name, spec, shape), options.threads, options.rounds)
            tokens = shape[0] * time_steps / 1000
            speeds = {way: [tokens / each for each in row] for way, row in best.items()}
            top = {way: max(row) for way, row in speeds.items()}
            row = [" / ".join(f"{each:.3g}" for each in speeds.get(way, [])) for way in WAYS]
            ratios = [
                f"{top[one] / top[other]:.2f}" if other in top else ""
                for one, other in (("compiled", "kernel"), ("compiled", "loop"), ("small", "loop"))
            ]
            print(f"| {shape} | `{name}` | {' | '.join(row + ratios)} |", flush=True)


WAYS = ("kernel", "loop", "small", "compiled")


def ways(name: str, spec: Any, shape: tuple[int, int, int, int]) -> dict[str, Callable[[], None]]:
    """What is timed, by name; each call is a pass forward and one backward."""
    batch, time_steps, input_size, hidden = shape
    xs = torch.randn(batch, time_steps, input_size)
    found: dict[str, nn.Module] = {}
    if name in NATIVE:
        found["kernel"] = NATIVE[name](input_size, hidden, batch_first=True)
    for way in WAYS[1:]:
        cell = cells.build(spec, input_size=input_size)
        if way != "loop":
            for route in take_fast_routes(cell).values():
                route.compiling = way == "compiled"
        elif name in ("gru", "rnn"):
            continue  # without a route it is the kernel
        found[way] = cell

    def both(module: nn.Module) -> None:
        module.zero_grad()
        module(xs)[0].sum().backward()

    return {way: lambda module=module: both(module) for way, module in found.items()}


def best_of(
    calls: dict[str, Callable[[], None]], threads: list[int], rounds: int
) -> dict[str, list[float]]:
    """The least seconds of each call, for each number of threads; they take turns."""
    best: dict[str, list[float]] = {way: [] for way in calls}
    for count in threads:
        torch.set_num_threads(count)
        least = dict.fromkeys(calls, float("inf"))
        for number in range(rounds + 1):
            for way, call in calls.items():
                begin = time.perf_counter()
                call()
                if number:  # the first one derives, compiles and fetches memory
                    least[way] = min(least[way], time.perf_counter() - begin)
        for way, seconds in least.items():
            best[way].append(seconds)
    return best


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--shapes", default="0123", help="indices of SHAPES")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--cells", nargs="*", help="only these")
    return parser.parse_args()


if __name__ == "__main__":
    main()
