"""What a second process gains: steps of recipes in one process and in two, on this machine.

    .venv/bin/python benchmarks/scaling.py [--recipes char_lstm date_seq2seq] [--rounds 3]

Each recipe trains a few steps in three ways, in turn: one process with one thread, one with two,
and two processes with one thread each at the same total batch. The figure is the best stretch of
steps, which other work on the machine disturbs least; ratios of speed are to one process with one
thread. `all-reduce` is the time that adding up the gradients of two processes takes alone.
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
STEPS, STRETCH = 40, 8
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
        events: list[Event] = []
        trainer = Trainer(
            model,
            train,
            recipe.train,
            torch.device("cpu"),
            sinks=[events.append],
            processes=processes,
        )
        trainer.run()
        # The first stretch warms up.
        stretches = [b - a for a, b in pairwise(event["seconds"] for event in events)]
        size = sum(each.numel() for each in model.parameters())
        flat, reduced = torch.ones(size), float("inf")
        for _ in range(30 * (processes.count > 1)):
            began = time.perf_counter()
            distributed.all_reduce(flat)
            reduced = min(reduced, time.perf_counter() - began)
        if processes.rank == 0:
            found = {"parameters": size, "reduced": reduced, "step": min(stretches) / STRETCH}
            print(json.dumps(found))


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
    print(f"{'recipe':14} {'parameters':>10} {'MB':>5} {'all-reduce':>10}", end="")
    print("".join(f" {way + ', ms':>10}" for way in WAYS), "".join(f" {way:>6}" for way in WAYS))
    for recipe in options.recipes:
        best, reduced, size = dict.fromkeys(WAYS, float("inf")), float("inf"), 0
        for _ in range(options.rounds):
            for way in WAYS:
                found = measured(recipe, way)
                best[way] = min(best[way], found["step"])
                reduced, size = min(reduced, found["reduced"]), found["parameters"]
        print(f"{recipe:14} {size:>10,} {size * 4e-6:>5.1f} {reduced * 1e3:>7.2f} ms", end="")
        print("".join(f" {step * 1e3:>10.1f}" for step in best.values()), end=" ")
        print("".join(f" {best['1 x 1'] / step:>6.2f}" for step in best.values()), flush=True)


if __name__ == "__main__":
    main()
