"""Checkpoints: folders `step-00001200` of weights and training state, with checksums.

A checkpoint is written under another name, flushed to the disk and then renamed, so that one
that has its name is whole. The files `last` and `best` name the checkpoints that they mean. All
tensors are in safetensors files and everything else in JSON: reading one executes nothing.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from seqgen.errors import CheckpointError, SetupError

FORMAT = 1
WEIGHTS, TENSORS, STATE, SUMS = (
    "model.safetensors",
    "training.safetensors",
    "training.json",
    "checksums.json",
)


_NAME = re.compile(r"step-\d{8,}", re.ASCII)


class Checkpoints:
    """The checkpoints of one run, in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def save(self, model: nn.Module, state: dict[str, Any], names: tuple[str, ...]) -> None:
        """Write `state` (with its `step`) and the weights, and let `names` mean this checkpoint.

        The names change in their order: `last` comes last, since a resumed run goes back to it and
        does again what comes behind it. Checkpoints that no name means any more are removed.
        Errors: SetupError where the disk is full or not writable; what was there before stays.
        """
        name = f"step-{state['step']:08d}"
        temporary = self.folder / f".writing-{name}"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            shutil.rmtree(temporary, ignore_errors=True)
            temporary.mkdir()
            _write(temporary, model, state)
            self._rename(temporary, self.folder / name)
            for pointer in names:
                self._point(pointer, name)
        except (OSError, SafetensorError) as error:
            shutil.rmtree(temporary, ignore_errors=True)
            raise SetupError(
                f"{self.folder / name}: cannot write the checkpoint: {error}"
            ) from None
        self._prune()

    def find(self, pointer: str) -> Path | None:
        """The folder of the checkpoint that `pointer` (`last` or `best`) means."""
        name = self._meant(pointer)
        if name is None:
            return None
        if not (self.folder / name).is_dir():
            raise CheckpointError(f"{self.folder / pointer}: the checkpoint {name} is missing")
        return self.folder / name

    def _meant(self, pointer: str) -> str | None:
        path = self.folder / pointer
        if not path.exists():
            return None
        name: str = _guarded(path, lambda path: path.read_text(encoding="utf-8").strip())
        if not _NAME.fullmatch(name):
            raise CheckpointError(f"{path}: damaged, it does not name a checkpoint")
        return name

    def _rename(self, temporary: Path, final: Path) -> None:
        if final.exists():
            shutil.rmtree(final)
        temporary.replace(final)
        _sync(self.folder)

    def _point(self, pointer: str, name: str) -> None:
        temporary = self.folder / f".{pointer}"
        temporary.write_text(name + "\n", encoding="utf-8")
        _sync(temporary)
        temporary.replace(self.folder / pointer)

    def _prune(self) -> None:
        meant = {self._meant("last"), self._meant("best")}
        for folder in self.folder.iterdir():
            ours = _NAME.fullmatch(folder.name.removeprefix(".writing-"))
            if ours and folder.name not in meant:
                shutil.rmtree(folder, ignore_errors=True)


def load_weights(folder: Path, model: nn.Module) -> None:
    """Fill `model` with the weights of a checkpoint, every one of them. Errors: CheckpointError."""
    _check(folder, WEIGHTS)
    _guarded(folder / WEIGHTS, lambda path: _fill(model, load_file(path)))


def load_state(folder: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The training state and its tensors. Errors: CheckpointError."""
    _check(folder, TENSORS)
    _check(folder, STATE)
    state = _guarded(folder / STATE, lambda path: json.loads(path.read_bytes()))
    return state, _guarded(folder / TENSORS, load_file)


def _write(folder: Path, model: nn.Module, state: dict[str, Any]) -> None:
    tensors = {key: tensor.clone().contiguous() for key, tensor in state.pop("tensors").items()}
    weights, firsts = model.state_dict(), _first_names(model).values()
    own = {name: weights[name].clone().contiguous() for name in dict.fromkeys(firsts)}
    save_file(own, folder / WEIGHTS)
    save_file(tensors, folder / TENSORS)
    (folder / STATE).write_text(json.dumps(state), encoding="utf-8")
    sums = {name: _sha256(folder / name) for name in (WEIGHTS, TENSORS, STATE)}
    (folder / SUMS).write_text(json.dumps({"format": FORMAT, "sha256": sums}), encoding="utf-8")
    for path in (*folder.iterdir(), folder):
        _sync(path)


def _first_names(model: nn.Module) -> dict[str, str]:
    """The name under which each tensor is saved: a tied one is saved once, under its first name."""
    first: dict[int, str] = {}
    named = model.state_dict(keep_vars=True)
    return {name: first.setdefault(id(tensor), name) for name, tensor in named.items()}


def _fill(model: nn.Module, found: dict[str, Tensor]) -> None:
    names = _first_names(model)
    for what, keys in (
        ("lacks", set(names.values()) - found.keys()),
        ("has, unlike the model,", found.keys() - set(names.values())),
    ):
        if keys:
            raise ValueError(f"it {what} {', '.join(sorted(keys))}")
    model.load_state_dict({name: found[first] for name, first in names.items()})


def _check(folder: Path, name: str) -> None:
    """A flipped bit loads without a word, so the checksum is looked at first."""
    path = folder / SUMS
    content = _guarded(path, lambda path: json.loads(path.read_bytes()))
    if not isinstance(content, dict) or not isinstance(content.get("sha256"), dict):
        raise CheckpointError(f"{path}: damaged, there are no checksums in it")
    if content.get("format") != FORMAT:
        raise CheckpointError(f"{path}: the format is {content.get('format')!r}, not {FORMAT}")
    if _guarded(folder / name, _sha256) != content["sha256"].get(name):
        raise CheckpointError(
            f"{folder / name}: damaged, its checksum is not the one it was written with"
        )


def _guarded(path: Path, read: Callable[[Path], Any]) -> Any:
    try:
        return read(path)
    except FileNotFoundError:
        raise CheckpointError(f"{path}: the file is missing") from None
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        reason = " ".join(str(error).split())
        raise CheckpointError(f"{path}: cannot be loaded: {reason}") from None


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(path: Path) -> None:
    """Wait until the file or folder is on the disk (a folder cannot be opened on Windows)."""
    if os.name == "nt" and path.is_dir():
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
