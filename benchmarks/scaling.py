"""What a second process gains: steps of recipes in one process and in two, on this machine.

    .venv/bin/python benchmarks/scaling.py [--recipes char_lstm date_seq2seq] [--rounds 3]

Each recipe trains a few steps in three ways, in turn: one process with one thread, one with two,
and two processes with one thread each at the same total batch. The figures are those of the best
stretch of steps, which other work on the machine disturbs least: milliseconds a step, and of them
those that a process computes itself (CPU), which show what the division gains even where the cores
are not free. Ratios of speed are to one process with one thread. `all-reduce` is the time that
adding up the gradients of two processes takes alone.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from itertools import pairwise
from typing import Any

import torch
from torch import distributed

from seqgen import build
from seqgen.machine import keep_freed_memory
from seqgen.run import load_recipe
from seqgen.training import Event, Trainer, joined

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node"]
WAYS = {"1 x 1": (1, 1), "1 x 2": (1, 2), "2 x 1": (2, 1)}
"""Processes, and threads of each."""
STEPS, STRETCH = 25, 5
BRIEF = ["train.max_seconds=null", "train.max_epochs=null", f"train.max_steps={STEPS}"]
BRIEF += ["device=cpu", "train.precision=float32", f"train.log_every={STRETCH}"]


def work(recipe_name: str, threads: int) -> None:
    """What each process does: print, as JSON, the best seconds a step, of rank 0."""
    keep_freed_memory()
    with joined() as processes:
        recipe, _ = load_recipe(recipe_name, [*BRIEF, f"threads={threads}"])
        data = build.build_data(recipe)
        tokenizers = build.fit_tokenizers(recipe, data)
        train = data.training(tokenizers)
        model = build.build(recipe, data, tokenizers).model
        clocks: list[tuple[float, float]] = []

        def note(event: Event) -> None:
            clocks.append((event["seconds"], time.process_time()))

        cpu = torch.device("cpu")
        trainer = Trainer(model, train, recipe.train, cpu, sinks=[note], processes=processes)
        trainer.run()
        # The first stretch warms up.
        found = [
            [(b - a) / STRETCH for a, b in zip(one, other, strict=True)]
            for one, other in pairwise(clocks)
        ]
        step, computed = map(min, zip(*found, strict=True))
        size = sum(each.numel() for each in model.parameters())
        flat, reduced = torch.ones(size), float("inf")
        for _ in range(30 * (processes.count > 1)):
            began = time.perf_counter()
            distributed.all_reduce(flat)
            reduced = min(reduced, time.perf_counter() - began)
        if processes.rank == 0:
            figures = {"parameters": size, "reduced": reduced, "step": step, "computed": computed}
            print(json.dumps(figures))


def measured(recipe: str, way: str) -> dict[str, Any]:
    """What `work` prints."""
    processes, threads = WAYS[way]
    command = [*TORCHRUN, str(processes), __file__, "--work", recipe, str(threads)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--recipes", nargs="+", default=["char_lstm", "date_seq2seq"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--work", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        work(options.work[0], int(options.work[1]))
        return
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    print("recipe, processes x threads: ms a step (CPU of a process), speed")
    for recipe in options.recipes:
        best: dict[str, dict[str, float]] = {}
        for _ in range(options.rounds):
            for way in WAYS:
                found = measured(recipe, way)
                best[way] = {key: min(found[key], best.get(way, found)[key]) for key in found}
        size, reduced = best["2 x 1"]["parameters"], best["2 x 1"]["reduced"] * 1e3
        print(
            f"{recipe}: {size:,.0f} parameters, {size * 4e-6:.1f} MB, all-reduce {reduced:.2f} ms"
        )
        for way, each in best.items():
            ratio = best["1 x 1"]["step"] / each["step"]
            print(f"  {way}: {each['step'] * 1e3:.1f} ({each['computed'] * 1e3:.1f}), {ratio:.2f}")


if __name__ == "__main__":
    main()
