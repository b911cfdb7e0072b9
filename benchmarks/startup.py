"""How long the verbs take to start, and in how much memory, against `import torch` alone.

    .venv/bin/python benchmarks/startup.py [--rounds 7] [--only schema generate]
    .venv/bin/python benchmarks/startup.py --state runs/char_lstm [--characters 1000000]

Each is a process of its own, in turn, after a first round that only fills the caches of Python and
of the disk. Seconds are the fewest of all rounds, by the clock and of the processor; the bars are
for the ratios of both. Exits with 1 where a bar is missed.

With `--state`, how soon after a state is loaded its run has the first token, in time of the
processor: the first time, the median and the least of 20, with no more of a prompt and with 40
characters.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Bar:
    """The most that a verb may take: its time as a multiple of that of `import torch`, and MB."""

    ratio: float
    megabytes: float = float("inf")


@dataclass(frozen=True)
class Cost:
    """What a process took: seconds by the clock and of the processor, and its peak in MB."""

    clock: float
    processor: float
    megabytes: float


BARS = {
    "--help": Bar(0.25),
    "list": Bar(1.15),
    "validate char_lstm": Bar(1.15, 350),
    "validate translate_fra_eng": Bar(1.15, 350),
    "schema": Bar(1.15),
    "generate": Bar(1.3),
}


def cost(command: Sequence[str], folder: Path) -> Cost:
    """Run a command to its end. Raises CalledProcessError if it fails."""
    environment = dict(os.environ)
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # as an installed package is started
    began = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, *command], cwd=folder, env=environment, stdout=subprocess.DEVNULL
    ) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - began
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return Cost(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def commands(folder: Path) -> dict[str, list[str]]:
    """What is measured, by name; `import torch` comes first. A small run is made in `folder`."""
    seqgen = ["-m", "seqgen"]
    few = ["threads=1", "train.max_steps=2", "evaluation.batch_size=256", "samples.length=2"]
    cost([*seqgen, "run", "char_lstm", *few, "--out", "run"], folder)
    generate = [*seqgen, "generate", "run", "--prompt", "The ", "--max-length", "80"]
    verbs = {name: [*seqgen, *name.split()] for name in BARS}
    return {"import torch": ["-c", "import torch"], **verbs, "generate": generate}


def measure(each: Mapping[str, Sequence[str]], folder: Path, rounds: int) -> dict[str, list[Cost]]:
    """The costs of each command, round by round."""
    found: dict[str, list[Cost]] = {name: [] for name in each}
    for round_ in range(rounds + 1):
        for name, command in each.items():
            costs = cost(command, folder)
            if round_:
                found[name].append(costs)
    return found


def first_tokens(directory: str, characters: int) -> None:
    """Print how soon a text goes on after a state of so many characters."""
    import seqgen

    run = seqgen.load(directory)
    prompt = "".join(run.prompts) or "The "
    more = (prompt * 40)[:40]
    text = (prompt * (characters // len(prompt) + 1))[:characters]
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "state"
        began = time.perf_counter()
        run.state(text).save(path)
        print(f"reading {characters:,} characters {time.perf_counter() - began:8.2f} s")
        began = time.perf_counter()
        state = run.load_state(path)
        print(f"loading the state {(time.perf_counter() - began) * 1e3:15.2f} ms")
    for what, rest in (("no more", ""), ("40 characters more", more)):
        times = []
        for _ in range(20):
            began = time.process_time()
            pieces = iter(run.after(state).stream(rest))
            next(pieces)
            if rest:  # the first piece is the prompt
                next(pieces)
            times.append((time.process_time() - began) * 1e3)
        first, (least, *_), median = times[0], sorted(times), statistics.median(times)
        print(f"{what:20} first {first:8.2f}  median {median:8.2f}  least {least:8.2f} ms")


def main() -> None:
    """Print a row for each command, and whether the bars are held."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", nargs="+", choices=BARS, default=[*BARS])
    parser.add_argument("--state", metavar="RUN", help="measure the first token after a state")
    parser.add_argument("--characters", type=int, default=1_000_000)
    options = parser.parse_args()
    if options.state:
        first_tokens(options.state, options.characters)
        return
    with tempfile.TemporaryDirectory() as name:
        every = commands(Path(name))
        some = {each: every[each] for each in ("import torch", *options.only)}
        found = measure(some, Path(name), options.rounds)
    base, held = found["import torch"], True
    print("                            clock s  ratio  processor s  ratio  peak MB   bar")
    for name, costs in found.items():
        clock, processor = (
            min(getattr(each, key) for each in costs) for key in ("clock", "processor")
        )
        of_clock = clock / min(each.clock for each in base)
        of_processor = processor / min(each.processor for each in base)
        peak = max(each.megabytes for each in costs)
        bar = BARS.get(name, Bar(1.0))
        held &= max(of_clock, of_processor) <= bar.ratio and peak <= bar.megabytes
        print(
            f"{name:26} {clock:8.2f} {of_clock:6.2f} {processor:12.2f} {of_processor:6.2f}"
            f" {peak:8.0f}   {bar.ratio:.2f}"
        )
    sys.exit(not held)


if __name__ == "__main__":
    main()
