"""Every registered cell at the same number of parameters and the same seconds of training.

    python benchmarks/cells.py --path tinyshakespeare.txt [--seconds 120] [--parameters 350000]

Each cell gets the hidden size that brings the whole model nearest to the wanted number of
parameters; all else (data, embedding, optimizer, schedule by the clock) is the recipe's, and the
same for each. Prints a table in Markdown, best first: held-out bits per character, and how many
tokens a second it trains on. A cell that is made of others is tried around one of them, see
`MADE_OF_OTHERS`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch

from seqgen.cells import cells
from seqgen.models import models

RECIPE = Path(__file__).parent.parent / "recipes" / "shakespeare_char_lstm.yaml"
VOCAB_SIZE = 69  # 65 characters and the special tokens
EMBEDDING_SIZE = 64
MADE_OF_OTHERS: dict[str, Any] = {
    "stack": lambda size: {"cells": [{"name": "lstm", "hidden_size": size}] * 2},
    "zoneout": lambda size: {"cell": {"name": "lstm_cell", "hidden_size": size}},
    "variational_dropout": lambda size: {"cell": {"name": "lstm", "hidden_size": size}},
    "weight_drop": lambda size: {"cell": {"name": "lstm", "hidden_size": size}},
}


def main() -> None:
    """Train each cell in a process of its own, one after the other."""
    options = _options()
    found = []
    for name in options.cells or cells.names():
        spec = at_size(name, options.parameters)
        print(f"{name}: {json.dumps(spec)}", file=sys.stderr, flush=True)
        result = train(spec, options)
        if result is not None:
            found.append((result["test"]["bits_per_char"], name, spec, result))
    print("| cell | options | parameters | bits per character | tokens/s | steps |")
    print("|---|---|---|---|---|---|")
    for bits, name, spec, result in sorted(found, key=lambda row: row[0]):
        training = result["train"]
        own = {key: value for key, value in spec.items() if key != "name"}
        print(
            f"| `{name}` | `{json.dumps(own)}` | {result['parameters']:,} | {bits:.3f} "
            f"| {training['tokens_per_second']:,.0f} | {training['steps']:,} |"
        )


def at_size(name: str, wanted: int) -> dict[str, Any]:
    """The spec of the cell `name` whose model is nearest to `wanted` parameters."""
    options = MADE_OF_OTHERS.get(name, lambda size: {"hidden_size": size})
    low, high = 4, 4096
    while high - low > 4:  # sizes in steps of 4, which kernels like
        middle = (low + high) // 8 * 4
        low, high = (
            (middle, high)
            if parameters({"name": name, **options(middle)}) <= wanted
            else (low, middle)
        )
    near = min(
        (low, high), key=lambda size: abs(parameters({"name": name, **options(size)}) - wanted)
    )
    return {"name": name, **options(near)}


def parameters(spec: dict[str, Any]) -> int:
    """The number of trained numbers of the language model around a cell."""
    choice = {
        "name": "language_model",
        "cell": cells.check(spec),
        "embedding": {"name": "learned", "size": EMBEDDING_SIZE},
    }
    with torch.device("meta"):
        model = models.build(choice, vocab_size=VOCAB_SIZE)
    return sum(each.numel() for each in model.parameters())


def train(spec: dict[str, Any], options: argparse.Namespace) -> dict[str, Any] | None:
    """The `result.json` of a run with the cell `spec`; None (and a word) where it fails."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            *(sys.executable, "-m", "seqgen", "run", str(RECIPE)),
            f"data.path={options.path}",
            f"model.cell={json.dumps(spec)}",
            f"train.max_seconds={options.seconds}",
            *("train.validations=4", "samples.length=0", *options.settings),
            *("--json", "--out", f"{folder}/run"),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        print(done.stderr.strip().splitlines()[-1], file=sys.stderr, flush=True)
        return None
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--path", required=True, help="the text to train on")
    parser.add_argument("--seconds", type=int, default=120)
    parser.add_argument("--parameters", type=int, default=350_000)
    parser.add_argument("--cells", nargs="*", help="only these")
    parser.add_argument("--settings", nargs="*", default=[], help="more overrides of the recipe")
    return parser.parse_args()


if __name__ == "__main__":
    main()
