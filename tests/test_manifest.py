"""The manifest: what a run records of itself."""

import hashlib
import json
import platform
from pathlib import Path

import pytest
import torch

from seqgen.version import __version__


@pytest.fixture(scope="module")
def manifest(finished_run):
    return json.loads((finished_run / "manifest.json").read_bytes())


def test_what_the_run_was(manifest, finished_run):
    assert manifest["recipe"] == "tiny"
    assert manifest["seed"] == 1
    assert manifest["budget"] == "12 steps"
    assert (manifest["device"], manifest["threads"]) == ("cpu", 1)
    assert manifest["precision"] == "float32"
    assert manifest["command"]
    result = json.loads((finished_run / "result.json").read_bytes())
    assert manifest["parameters"] == result["parameters"]


def test_what_it_ran_with(manifest):
    assert manifest["seqgen"] == __version__
    assert manifest["python"] == platform.python_version()
    assert manifest["torch"] == torch.__version__
    assert {"numpy", "platform", "started"} <= set(manifest)


def test_what_it_read(manifest):
    [(path, digest)] = manifest["data"].items()
    content = Path(path).read_bytes()
    assert digest == hashlib.sha256(content).hexdigest()
    parts = [manifest[f"{name}_tokens"] for name in ("train", "valid", "test")]
    assert sum(parts) == len(content.decode())
    assert manifest["train_chars"] == parts[0]
    assert manifest["vocab_size"] == len(set(content.decode())) + 4


def test_several_budgets_are_one_sentence(train):
    budgets = ["train.max_epochs=1.5", "train.max_seconds=1e4", "train.max_steps=1"]
    folder = train(*budgets, "samples.length=0")
    manifest = json.loads((folder / "manifest.json").read_bytes())
    assert manifest["budget"] == "1 steps or 1.5 epochs or 10000 seconds, whichever comes first"
