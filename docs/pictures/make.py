"""The pictures of the lessons: trains the runs that are missing, then draws.

    python docs/pictures/make.py [NAME ...] [--runs runs] [--out docs/pictures]

Each run is one of a lesson, on one thread, so that a machine draws the same pictures each time; all
together take about six minutes. Runs that are there already are taken as they are.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import of_pairs
import of_patterns
import of_texts
from svg import Picture

WORDS = (
    "word_lstm data.corpus=python_docs model.cell.hidden_size=128 model.embedding.size=128 "
    "train.max_seconds=null train.max_epochs=3"
)
RUNS = {
    "at_once": "lectures/classify_lstm train.max_epochs=2",
    "by_step": "lectures/classify_lstm_cell train.max_epochs=2",
    "circle": "lectures/char_onehot_lstm train.max_steps=1000",
    "dates": "date_seq2seq train.max_seconds=null train.max_steps=800",
    "forced": "lectures/sampling_in_training model.sampling=null train.max_steps=500",
    "chars": f"{WORDS} tokenizer=char",
    "pieces": f"{WORDS} 'tokenizer={{name: sentencepiece, vocab_size: 2000}}'",
    "words": WORDS,
}
"""The arguments of `seqgen run` in the lessons, by the name of its run directory."""

DATE = "Thursday, 3rd of May 1984"
FED = "OCT. 2, 1988", "1988-10-02"
SENTENCE = "The default encoding is UTF-8, as everywhere."
TOKENS = {"characters": "chars", "pieces of words": "pieces", "words": "words"}

PICTURES: dict[str, tuple[Callable[[Path], Picture], list[str]]] = {
    "recurrence": (lambda _: of_patterns.patterns(), []),
    "learning": (
        lambda runs: of_pairs.learning(runs / "at_once", runs / "by_step"),
        ["at_once", "by_step"],
    ),
    "letters": (lambda runs: of_texts.letters(runs / "chars"), ["chars"]),
    "circle": (lambda runs: of_texts.circle(runs / "circle"), ["circle"]),
    "temperature": (lambda runs: of_texts.temperature(runs / "circle"), ["circle"]),
    "beam": (lambda runs: of_texts.beam(runs / "circle"), ["circle"]),
    "feeding": (lambda runs: of_pairs.feeding(runs / "forced", *FED), ["forced"]),
    "attention": (lambda runs: of_pairs.attention(runs / "dates", DATE), ["dates"]),
    "tokens": (
        lambda runs: of_texts.tokens({k: runs / v for k, v in TOKENS.items()}, SENTENCE),
        [*TOKENS.values()],
    ),
}
"""Of each picture what draws it from the folder of all runs, and the runs that it needs."""


def train(name: str, folder: Path) -> None:
    """Run the command of the lesson, unless it has been run to its end."""
    if (folder / name / "result.json").exists():
        return
    words = [*shlex.split(RUNS[name]), "threads=1", "--out", str(folder / name), "--overwrite"]
    subprocess.run([sys.executable, "-m", "seqgen", "run", *words], check=True)


def main() -> None:
    """The pictures that are named, or all."""
    reader = argparse.ArgumentParser(description="Draw the pictures of the lessons.")
    reader.add_argument("names", nargs="*", metavar="NAME", help=", ".join(PICTURES))
    reader.add_argument("--runs", type=Path, default=Path("runs"))
    reader.add_argument("--out", type=Path, default=Path(__file__).parent)
    given = reader.parse_args()
    unknown = [each for each in given.names if each not in PICTURES]
    if unknown:
        reader.error(f"no picture is called {', '.join(unknown)}; there are {', '.join(PICTURES)}")
    for name in given.names or PICTURES:
        draw, needed = PICTURES[name]
        for run in needed:
            train(run, given.runs)
        draw(given.runs).save(given.out / f"{name}.svg")


if __name__ == "__main__":
    main()
