"""The manifest of a run: all that someone needs who wants to repeat it."""

from __future__ import annotations

import platform
import sys
import warnings
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

from seqgen.build import Built
from seqgen.data.base import Dataset
from seqgen.errors import CheckpointError
from seqgen.files import OPTIONS_LIMIT, read_bytes
from seqgen.machine import choose_precision
from seqgen.plugins import fingerprint
from seqgen.recipe import Recipe
from seqgen.recipe_source import RecipeSource
from seqgen.run_directory import RunDirectory
from seqgen.tokenizers import Tokenizers
from seqgen.version import __version__
from seqgen.yaml_loader import load_document

FIXED = ("data", "tokenizer", "tokenizers", "share_tokenizer", "model", "seed", "train.optimizer")
"""What of a recipe a resumed run may not change."""

BITWISE = ("torch", "threads", "device", "precision")
"""Where these differ, a resumed run goes on, but not to the same last bits."""


def manifest(
    built: Built, dataset: Dataset[Any], source: RecipeSource, command: Sequence[str]
) -> dict[str, Any]:
    """The record of a run that is about to begin."""
    held_out = {"valid": dataset.valid, "test": dataset.test}
    return {
        "recipe": Path(source.name).stem,
        "description": built.recipe.description,
        "command": list(command) or sys.argv,
        "seed": built.recipe.seed,
        "data": built.data.fingerprint(),
        "remarks": list(built.data.remarks()),
        "plugins": {each: fingerprint(Path(each)) for each in built.recipe.plugins},
        "parameters": built.parameters,
        "vocab_size": len(built.tokenizer),
        "tokenizers": fingerprints(built.tokenizers),
        "tokenizer_files": {role: sorted(each.files()) for role, each in built.tokenizers.items()},
        "train_tokens": dataset.train.tokens,
        "train_chars": dataset.train.size.chars,
        "longest": dataset.train.longest,
        **{f"{name}_tokens": part.tokens for name, part in held_out.items() if part is not None},
        "steps_per_epoch": dataset.train.steps_per_epoch,
        "budget": _budget(built.recipe),
        "device": str(built.device),
        "threads": built.threads,
        "precision": choose_precision(built.recipe.train.precision, built.device),
        "seqgen": __version__,
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "numpy": np.__version__,
        "platform": platform.platform(),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def check_same(directory: RunDirectory, recipe: Recipe, record: dict[str, Any]) -> dict[str, Any]:
    """What the manifest of the run in `directory` says, if it may go on with `recipe`.

    Raises CheckpointError if model, tokenizer or data are other ones. A warning where the
    machine is another one, for the last bits of results depend on it.
    """
    document = load_document(
        read_bytes(directory.recipe, CheckpointError, limit=OPTIONS_LIMIT), str(directory.recipe)
    )
    before, now = _flat(document.data), _flat(recipe.plain())
    changed = {
        key: f"{key} was {before.get(key)!r} and is {now.get(key)!r}"
        for key in sorted(before.keys() | now.keys())
        if before.get(key) != now.get(key)
    }
    fixed = tuple(f"{each}." for each in FIXED)
    refused = [text for key, text in changed.items() if f"{key}.".startswith(fixed)]
    if refused:
        raise CheckpointError(f"{directory.folder}: cannot be resumed: {'; '.join(refused[:3])}")
    for text in changed.values():
        warnings.warn(f"the run goes on with a change: {text}", stacklevel=2)
    old = directory.record()
    if old.get("data") != record["data"]:
        raise CheckpointError(f"{directory.folder}: cannot be resumed: the data is another one now")
    check_tokenizers(directory, record["tokenizers"])
    hashes = old.get("plugins")
    for path, found in record["plugins"].items():
        if isinstance(hashes, dict) and hashes.get(path, found) != found:
            warnings.warn(f"plugin {path}: the file has changed since the run began", stacklevel=2)
    for key in BITWISE:
        if old.get(key) != record[key]:
            was, now_is = old.get(key), record[key]
            text = f"{key} was {was} and is {now_is}: not the same run to the last bit"
            warnings.warn(text, stacklevel=2)
    return old


def fingerprints(tokenizers: Tokenizers) -> dict[str, str]:
    """What tells the vocabularies of a run from others of the same size."""
    return {role: tokenizer.fingerprint() for role, tokenizer in tokenizers.items()}


def check_tokenizers(directory: RunDirectory, found: dict[str, str]) -> None:
    """A CheckpointError unless they are the run's own: others of the same size would load too."""
    if directory.record().get("tokenizers") != found:
        raise CheckpointError(f"{directory.tokenizer}: not what this run began with")


def _budget(recipe: Recipe) -> str:
    """Such as `140 seconds or 3 epochs, whichever comes first`."""
    train = recipe.train
    limits = {"steps": train.max_steps, "epochs": train.max_epochs, "seconds": train.max_seconds}
    given = [f"{value:g} {name}" for name, value in limits.items() if value is not None]
    return " or ".join(given) + (", whichever comes first" if len(given) > 1 else "")


def _flat(data: Any, path: str = "") -> dict[str, Any]:
    """Nested mappings as one, with dotted keys."""
    if not isinstance(data, dict):
        return {path: data}
    flat: dict[str, Any] = {}
    for key, value in data.items():
        flat.update(_flat(value, f"{path}.{key}" if path else key))
    return flat
