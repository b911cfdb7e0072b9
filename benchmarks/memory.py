"""What large data takes to load, and whether memory stays as it is while a run goes on.

    .venv/bin/python benchmarks/memory.py [--megabytes 100] [--rows 1000000] [--minutes 60]
        [--tokenizers char byte word]

A text of so many MB is made of Python's documentation, and so many rows of about 30 characters, of
made-up words. Each is loaded, learned from and encoded in a process of its own. Seconds are of the
processor; `ids` is the speed of encoding alone, `again` that of a start that finds the ids in the
cache. Memory is the peak of the process above what it had with everything imported.

A small model trains for so many minutes in a process of its own, with a validation, samples and a
checkpoint every 200 steps and each step in the log; then another process generates from it, by a
draw, a beam and in batches, for as many. The table has the resident memory of each over time (from
/proc, so Linux only). The slope is that of a straight line through what was measured after the
first third. Exits with 1 where it is above 60 MB an hour, unless the time is shorter than 10
minutes, in which it says little.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from seqgen.data import corpora

TEXT_BARS = {"char": 40, "byte": 100, "word": 5}
"""The least MB a second of encoding, for each tokenizer."""

ABOVE_IDS, PAIR_SECONDS, PAIR_MEGABYTES = 200, 20, 1000
"""The most MB above the ids of a text, and the most seconds and MB for a million pairs."""

LOAD = """
import json, resource, sys, time
from seqgen.data import data
from seqgen.tokenizers import LongText, tokenizers

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

before, start = peak(), time.process_time()
made = data.build({"name": sys.argv[1], "path": sys.argv[2], "split": [0.98, 0.01, 0.01]})
texts, fitted = made.training_texts(), {}
for field in made.fields:
    fitted[field] = tokenizers.build(sys.argv[3])
    found = texts[field]
    fitted[field].fit(found.pieces(fitted[field]) if isinstance(found, LongText) else found)
del texts
encoding = time.process_time()
train = made.encode(fitted).train
encoded = time.process_time()
for step in range(100):
    train.batch(step)
print(json.dumps({
    "seconds": time.process_time() - start, "encoding": encoded - encoding,
    "tokens": train.tokens, "size": len(fitted[made.output_field]),
    "megabytes": peak() - before, "all": peak(),
}))
"""

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


def make_text(path: Path, megabytes: int) -> None:
    """English prose and code in a new order."""
    paragraphs = corpora.build("python_docs").read().text.split("\n\n")
    draw, size = random.Random(1), 0
    with path.open("w", encoding="utf-8") as file:
        while size < megabytes * 10**6:
            size += file.write(f"{draw.choice(paragraphs)}\n\n")


def make_pairs(path: Path, rows: int) -> None:
    """Words that nobody knows, a source and a target on each line."""
    draw = random.Random(2)
    letters = "abcdefghijklmnoprstuvw"
    words = ["".join(draw.choices(letters, k=draw.randint(2, 8))) for _ in range(5000)]
    with path.open("w", encoding="utf-8") as file:
        for _ in range(rows):
            sides = (" ".join(draw.choices(words, k=draw.randint(2, 3))) for _ in range(2))
            file.write("\t".join(sides) + "\n")


def load(folder: Path, *words: str) -> dict[str, float]:
    """What loading took. Raises CalledProcessError if it fails."""
    environment = {**os.environ, "SEQGEN_CACHE": str(folder / "cache")}
    command = [sys.executable, "-c", LOAD, *words]
    output = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE).stdout
    found: dict[str, float] = json.loads(output)
    return found


def load_texts(folder: Path, megabytes: int, tokenizers: Sequence[str]) -> bool:
    """Print what a text takes with each tokenizer; returns whether the bars are held."""
    held, path = True, folder / "large.txt"
    make_text(path, megabytes)
    print("text, MB/s        all      ids    again   peak MB    of it ids   bar of ids")
    for name in tokenizers:
        bar = TEXT_BARS[name]
        first, again = (load(folder, "text", str(path), name) for _ in range(2))
        size = path.stat().st_size / 1e6
        speeds = [size / each for each in (first["seconds"], first["encoding"], again["seconds"])]
        ids = first["tokens"] * np.min_scalar_type(int(first["size"]) - 1).itemsize / 1e6
        held &= speeds[1] >= bar and first["megabytes"] <= ids + ABOVE_IDS
        shown = " ".join(f"{each:8.0f}" for each in (*speeds, first["megabytes"]))
        print(f"{name:10} {shown} {ids:12.0f} {bar:12}")
    return held


def load_pairs(folder: Path, rows: int, tokenizers: Sequence[str]) -> bool:
    """Print what pairs take with each tokenizer; returns whether the bars are held."""
    held, path = True, folder / "pairs.tsv"
    make_pairs(path, rows)
    print("pairs         seconds   peak MB   with imports")
    for name in tokenizers:
        found = load(folder, "pairs", str(path), name)
        held &= found["seconds"] <= PAIR_SECONDS and found["all"] <= PAIR_MEGABYTES
        print(f"{name:10} {found['seconds']:10.1f} {found['megabytes']:9.0f} {found['all']:14.0f}")
    return held


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


def stays_flat(folder: Path, minutes: float) -> bool:
    """Print memory over time, and the slopes; returns whether the bar is held."""
    seconds, held = 60 * minutes, True
    train = ["-m", "seqgen", "run", *RECIPE, f"train.max_seconds={seconds}", "--out", "run"]
    for what, command in (("training", train), ("generation", ["-c", GENERATE, str(seconds)])):
        found = watched(command, folder, seconds)
        print(f"{what}: minutes, MB")
        for at, size in found[:: max(1, len(found) // 12)]:
            print(f"{at:8.1f} {size:8.1f}")
        print(f"   slope {slope(found):8.1f} MB an hour (bar {BAR:.0f})")
        held &= seconds < 600 or slope(found) <= BAR
    return held


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--megabytes", type=int, default=100)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--tokenizers", nargs="+", choices=TEXT_BARS, default=[*TEXT_BARS])
    options = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        held = [
            load_texts(folder, options.megabytes, options.tokenizers),
            load_pairs(folder, options.rows, options.tokenizers),
            stays_flat(folder, options.minutes),
        ]
    sys.exit(not all(held))


if __name__ == "__main__":
    main()
