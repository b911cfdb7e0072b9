"""Whether memory stays as it is while a run trains, and while it generates.

    .venv/bin/python benchmarks/memory.py [--minutes 60]

A small model trains for so many minutes in a process of its own, with a validation, samples and a
checkpoint every 200 steps and each step in the log; then another process generates from it, by a
draw, a beam and in batches, for as many. The table has the resident memory of each over time (from
/proc, so Linux only). The slope is that of a straight line through what was measured after the
first third. Exits with 1 where it is above 60 MB an hour, unless the time is shorter than 10
minutes, in which it says little.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

BAR = 60.0
"""The most MB an hour."""

SAMPLES = 60
"""How often memory is measured in each process."""

RECIPE = (
    *("char_lstm", "data.corpus=python_docs", "model.cell.hidden_size=96", "threads=1"),
    *("train.validate_every=200", "train.log_every=1", "data.split=[0.98, 0.01, 0.01]"),
    *("samples.length=80", "samples.temperatures=[0, 1]"),
)

GENERATE = """
import sys, time
import seqgen
run, end = seqgen.load("run"), time.monotonic() + float(sys.argv[1])
seed = 0
while time.monotonic() < end:
    seed += 1
    run.generate("The ", max_length=60, seed=seed)
    run.generate("The ", max_length=20, decoder="beam", beam_size=3)
    run.continuations(["The ", "A", "In the beginning"] * 8, run.decoder(seed=seed), 20)
"""


def resident(process: subprocess.Popen[bytes]) -> float:
    """The memory of a process in MB; 0 where it has ended."""
    try:
        text = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
    except OSError:
        return 0.0
    sizes = [line.split()[1] for line in text.splitlines() if line.startswith("VmRSS:")]
    return float(sizes[0]) / 1024 if sizes else 0.0


def watched(command: Sequence[str], folder: Path, seconds: float) -> list[tuple[float, float]]:
    """Minutes and MB while a command runs. Raises CalledProcessError if it fails."""
    found = []
    log = folder / "output.txt"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, *command], cwd=folder, stdout=output, stderr=output
        )
        began = time.monotonic()
        while process.poll() is None:
            time.sleep(seconds / SAMPLES)
            found.append(((time.monotonic() - began) / 60, resident(process)))
    if process.returncode:
        print(log.read_text(encoding="utf-8", errors="replace"), file=sys.stderr)
        raise subprocess.CalledProcessError(process.returncode, command)
    return [each for each in found if each[0] * 60 < seconds and each[1]]


def slope(found: Sequence[tuple[float, float]]) -> float:
    """MB an hour after the first third."""
    minutes, sizes = np.array(found[len(found) // 3 :]).T
    return float(np.polyfit(minutes / 60, sizes, 1)[0])


def main() -> None:
    """Print memory over time, and the slopes."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=1.0)
    seconds = 60 * parser.parse_args().minutes
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    train = ["-m", "seqgen", "run", *RECIPE, f"train.max_seconds={seconds}", "--out", "run"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        training = watched(train, folder, seconds)
        generation = watched(["-c", GENERATE, str(seconds)], folder, seconds)
    slopes = {}
    for what, found in (("training", training), ("generation", generation)):
        slopes[what] = slope(found)
        print(f"{what}: minutes, MB")
        for minutes, size in found[:: max(1, len(found) // 12)]:
            print(f"{minutes:8.1f} {size:8.1f}")
        print(f"   slope {slopes[what]:8.1f} MB an hour (bar {BAR:.0f})")
    sys.exit(seconds >= 600 and max(slopes.values()) > BAR)


if __name__ == "__main__":
    main()
