import json
import math
import os
import shutil
from collections.abc import Callable, Iterator
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
ANSWERS = [
    {"source": "tandis", "output": "t a d i", "references": ["t o d i"], "score": -2.5},
    {"source": "fer", "output": "f e r", "references": ["f e r", "f e"], "finished": True},
    {"source": "les", "output": "l", "references": ["l e", "l e z"], "score": -0.25},
]
ATTENTION = [
    {
        "source": ["le", "chat"],
        "output": ["the", "cat", "</s>"],
        "weights": [[0.75, 0.25], [0.0625, 0.9375], [0.001, 0.999]],
    }
]
SAMPLES = [sample("at is it.", 0.8), sample("e counters to the first " * 6, 0)]


def judged(exact: float, phonemes: float) -> dict[str, object]:
    """What a validation or the end says of a model that reads sources."""
    metrics = {"exact_match": exact, "phoneme_error_rate": phonemes}
    return {**measured(0.5), "examples": 3, "unknown": 1, "metrics": metrics}


def judged_valid(step: int, phonemes: float) -> dict[str, object]:
    sample = {"prompt": "tandis", "text": f"t {step}", "continues": False}
    about = {"event": "valid", "step": step, "criterion": phonemes, "samples": [sample]}
    return {**judged(0.25, phonemes), **about, "best": phonemes < 0.6}


JUDGED_METRICS = [
    *(train(step, 1 + 100 / step) for step in range(10, 40, 10)),
    judged_valid(10, 1.5),
    judged_valid(20, 0.5),
    judged_valid(30, 0.75),
]
JUDGED_RESULT = {
    **RESULT,
    "valid": judged(0.5, 0.3),
    "test": {
        **judged(0.3333, 0.25),
        "details": {
            "exact_match": {"correct": 1, "answers": 3},
            "bleu": {"signature": "nrefs:var|tok:13a", "precisions": [1, 2]},
            "accuracy": {
                "classes": {
                    "cat": {"precision": 0.75, "recall": 0.6, "f1": 0.6667, "count": 5},
                    "": {"precision": 0.0, "recall": 0.0, "f1": 0.0, "count": 1},
                },
                "confusion": {"cat": {"cat": 3, "dog": 2}, "": {"dog": 1}},
            },
        },
    },
    "better": {"exact_match": "higher", "phoneme_error_rate": "lower"},
}
JUDGED_SAMPLES = [
    {
        "prompt": "tandis",
        "text": "t a d i",
        "continues": False,
        "temperature": temperature,
        "pieces": ["t", "a", "d", "i"],
        "log_probs": [-0.1, -0.2, -3.0, -5.0],
        "finished": True,
        "first": [{"token": "t", "probability": 0.75}, {"token": "z", "probability": 0.0001}],
    }
    for temperature in (0, 0.8)
]


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
            "answers.json": changed.get("answers"),
            "attention.json": changed.get("attention"),
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


@pytest.fixture
def write_judged(write_run: Callable[..., Path]) -> Callable[..., Path]:
    """Write the run of a model that reads sources, whose outputs were judged."""

    def write(**changed: object) -> Path:
        return write_run(
            **{
                "manifest": {**MANIFEST, "remarks": ["train.tsv: 2 rows left out"]},
                "metrics": JUDGED_METRICS,
                "result": JUDGED_RESULT,
                "samples": JUDGED_SAMPLES,
                "answers": ANSWERS,
                "attention": ATTENTION,
                **changed,
            }
        )

    return write


@pytest.fixture(scope="session")
def browser() -> Iterator[object]:
    """A Chromium, where there is one."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    names = ("chromium", "chromium-browser", "google-chrome")
    path = next((found for name in names if (found := shutil.which(name))), None)
    if path is None:
        pytest.skip("no Chromium on this machine; make browser installs it where it may")
    # Chromium refuses to run as root inside its own sandbox.
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_api.sync_playwright() as playwright:
        try:
            started = playwright.chromium.launch(executable_path=path, args=arguments)
        except sync_api.Error as error:
            pytest.skip(f"Chromium does not start here: {str(error).splitlines()[0]}")
        yield started
        started.close()


@pytest.fixture
def metrics_with_a_prompt() -> list[dict[str, object]]:
    """Validations of sources, one of whose outputs is long, and one with a prompt."""
    long = {"prompt": "I am glad", "text": "je " * 200, "continues": False}
    first = {**judged_valid(10, 1.5), "samples": [long]}
    return [first if event["step"] == 10 else event for event in JUDGED_METRICS[3:]] + [
        *JUDGED_METRICS[:3],
        {**judged_valid(40, 0.9), "samples": [{"prompt": "Th", "text": "e end"}]},
    ]


@pytest.fixture
def samples_of_all_kinds() -> list[dict[str, object]]:
    """Samples that continue a prompt, and samples that were made of a source."""
    return [*SAMPLES, *JUDGED_SAMPLES]
