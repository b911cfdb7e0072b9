"""One recipe for several languages, with one setting: a table of held-out error rates.

    python benchmarks/languages.py g2p --path sigmorphon2020 [--languages fre hun]
    python benchmarks/languages.py inflection --path conll2017

Each language is a run of its own. Prints a table in Markdown, with a mean at the end; `--settings`
takes overrides of the recipe, such as train.max_seconds=60 seed=2.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

RECIPES = Path(__file__).parent.parent / "recipes"


class Task(NamedTuple):
    """A recipe, how the files of a language are called, its languages, and what is measured."""

    recipe: str
    files: dict[str, str]
    languages: tuple[str, ...]
    metric: str


TASKS = {
    "g2p": Task(
        "g2p_sigmorphon.yaml",
        {"train": "{}_train.tsv", "valid": "{}_dev.tsv", "test": "{}_test.tsv"},
        ("fre", "hun", "gre", "kor", "arm"),
        "word_error_rate",
    ),
    "inflection": Task(
        "inflection.yaml",
        {"train": "{}-train-high", "valid": "{}-dev", "test": "{}-test"},
        ("english", "german", "turkish"),
        "exact_match",
    ),
}


def main() -> None:
    """Run the recipe for each language, one after the other."""
    options = _options()
    task = TASKS[options.task]
    found = {}
    for language in options.languages or task.languages:
        found[language] = train(task, language, options)
        print(f"{language}: {_row(found[language], task.metric)}", file=sys.stderr, flush=True)
    print(f"| language | valid | test | seconds | steps | parameters |  ({task.metric}, %)")
    print("|---|---|---|---|---|---|")
    for language, result in found.items():
        print(f"| {language} | {_row(result, task.metric)} |")
    means = [
        sum(100 * each[part]["metrics"][task.metric] for each in found.values()) / len(found)
        for part in ("valid", "test")
    ]
    print(f"| mean | {means[0]:.2f} | {means[1]:.2f} | | | |")


def train(task: Task, language: str, options: argparse.Namespace) -> dict[str, Any]:
    """The `result.json` of the run for a language."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(options.out or folder) / language
        files = [f"data.{part}={name.format(language)}" for part, name in task.files.items()]
        command = [
            *(sys.executable, "-m", "seqgen", "run", str(RECIPES / task.recipe)),
            *(f"data.path={options.path}", *files, *options.settings),
            *("--json", "--overwrite", "--out", str(out)),
        ]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def _row(result: dict[str, Any], metric: str) -> str:
    valid, test = (100 * result[part]["metrics"][metric] for part in ("valid", "test"))
    trained = result["train"]
    numbers = f"{trained['seconds']:.0f} | {trained['steps']:,} | {result['parameters']:,}"
    return f"{valid:.2f} | {test:.2f} | {numbers}"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("task", choices=sorted(TASKS))
    parser.add_argument("--path", required=True, help="the folder with the files of all languages")
    parser.add_argument("--languages", nargs="+", help="only these")
    parser.add_argument("--out", help="keep the run directories here")
    parser.add_argument("--settings", nargs="*", default=[], help="overrides of the recipe")
    return parser.parse_args()


if __name__ == "__main__":
    main()
