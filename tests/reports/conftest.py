import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest

PROBABILITIES = (0.9, 0.3, 0.1, 0.02, 0.001)


def train(step: int, loss: float) -> dict[str, object]:
    return {
        "event": "train",
        "step": step,
        "loss": loss,
        "learning_rate": 0.002,
        "tokens": 64 * step,
        "seconds": step / 10,
    }


def valid(step: int, loss: float, best: bool = False) -> dict[str, object]:
    samples = [{"prompt": "Th", "text": f"e text of {step}"}]
    return {
        "event": "valid",
        "step": step,
        "nats_per_token": loss,
        "seconds": step / 10,
        "best": best,
        "samples": samples,
    }


def sample(text: str, temperature: float) -> dict[str, object]:
    return {
        "prompt": "Th",
        "temperature": temperature,
        "text": text,
        "pieces": list(text),
        "log_probs": [math.log(PROBABILITIES[i % 5]) for i in range(len(text))],
        "finished": False,
        "first": [{"token": "e", "probability": 0.41}, {"token": " ", "probability": 0.00001}],
    }


def measured(loss: float) -> dict[str, object]:
    return {"nats_per_token": loss, "perplexity": 4.4, "bits_per_char": 2.1, "accuracy": 0.5}


RECIPE = "model:\n  cell: {name: lstm}  # a < b\n"
MANIFEST = {
    "recipe": "recipes/char_lstm.yaml",
    "torch": "2.13.0",
    "seed": 1234,
    "command": ["seqgen", "run", "my recipe.yaml"],
    "data": {"shakespeare.txt": "86c4e6aa"},
    "parameters": 923713,
}
RESULT = {
    "train": {"seconds": 312.8, "tokens_per_second": 104757.0, "steps": 4000},
    "valid": measured(1.48),
    "test": measured(1.53),
    "best_step": 200,
    "parameters": 923713,
    "stopped": "budget reached",
}
METRICS = [
    *(train(step, 1 + 100 / step) for step in range(10, 400, 10)),
    valid(100, 2.25),
    valid(200, 1.75, best=True),
    valid(300, 1.875),
]
SAMPLES = [sample("at is it.", 0.8), sample("e counters to the first " * 6, 0)]


@pytest.fixture
def write_run(tmp_path: Path) -> Callable[..., Path]:
    """Write a run directory; a part given as None is left out."""

    def write(**changed: object) -> Path:
        folder = tmp_path / "run"
        folder.mkdir()
        parts = {
            "recipe.yaml": changed.get("recipe", RECIPE),
            "manifest.json": changed.get("manifest", MANIFEST),
            "metrics.jsonl": changed.get("metrics", METRICS),
            "result.json": changed.get("result", RESULT),
            "samples.json": changed.get("samples", SAMPLES),
        }
        for name, part in parts.items():
            if part is None:
                continue
            text = part if isinstance(part, str) else json.dumps(part)
            if name == "metrics.jsonl" and isinstance(part, list):
                text = "".join(json.dumps(event) + "\n" for event in part)
            (folder / name).write_text(text, encoding="utf-8")
        return folder

    return write
