"""Checkpoints: folders `step-00001200` of weights and training state, with checksums.

A checkpoint is written under another name, flushed to the disk and then renamed, so that one
that has its name is whole. The files `last` and `best` name the checkpoints that they mean. All
tensors are in safetensors files and everything else in JSON: reading one executes nothing.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from seqgen.errors import CheckpointError, SetupError
from seqgen.files import (
    MAPPING_LIMIT,
    RECORD_LIMIT,
    kind_of,
    new_file,
    read_bytes,
    read_mapping,
    sha256,
    write_file,
    written_as,
)
from seqgen.plain_values import shown

FORMAT = 1
WEIGHTS, TENSORS, STATE, SUMS = (
    "model.safetensors",
    "training.safetensors",
    "training.json",
    "checksums.json",
)
FILES = {WEIGHTS, TENSORS, STATE, SUMS}
POINTERS = {"last", "best"}

_NAME = re.compile(r"step-\d{8,}", re.ASCII)
_WRITING = ".writing-"
"""Before the name of a checkpoint that is not whole yet."""

_SLACK = 1 << 26
"""Bytes by which a file of tensors may be larger than they are, for their names: 64 MiB."""


def kind_in_checkpoints(parts: tuple[str, ...]) -> str | None:
    """What a run writes at `parts`, a path in the folder of its checkpoints: a `file`, a `folder`,
    or None."""
    first, *rest = parts
    if _NAME.fullmatch(first.removeprefix(_WRITING)):
        if not rest:
            return "folder"
        return "file" if len(rest) == 1 and (rest[0] in FILES or first[0] == ".") else None
    # Those with a dot were temporary names of earlier versions.
    return "file" if not rest and written_as(first).removeprefix(".") in POINTERS else None


class Checkpoints:
    """The checkpoints of one run, in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def save(self, model: nn.Module, state: dict[str, Any], names: tuple[str, ...]) -> None:
        """Write `state` (with its `step`) and the weights, and let `names` mean this checkpoint.

        The names change in their order: `last` comes last, since a resumed run goes back to it and
        does again what comes behind it. Checkpoints that no name means any more are removed.
        Raises SetupError if the disk is full or not writable; what was there before stays.
        """
        name = f"step-{state['step']:08d}"
        temporary = self.folder / f"{_WRITING}{name}"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            _remove(temporary)
            temporary.mkdir()
            _write(temporary, model, state)
            _remove(self.folder / name)
            temporary.replace(self.folder / name)
            _sync(self.folder)
            for pointer in names:
                write_file(self.folder / pointer, name + "\n")
            _sync(self.folder)
        except (OSError, SafetensorError, SetupError) as error:
            raise self._given_up(name, error) from None
        self._prune()

    def _given_up(self, name: str, error: Exception) -> SetupError:
        """What to raise if the checkpoint `name` cannot be written; nothing is left of it."""
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        message = f"{self.folder / name}: cannot write the checkpoint: {reason}"
        with suppress(CheckpointError):
            for each in (f"{_WRITING}{name}", *({name} - self._meant())):
                with suppress(OSError):
                    _remove(self.folder / each)
            if last := self._named("last"):
                message += f"; the last one, {last}, is as it was"
        return SetupError(message)

    def find(self, pointer: str) -> Path | None:
        """The folder of the checkpoint that `pointer` (`last` or `best`) means.

        Raises CheckpointError if there is such a name, but it does not lead to a checkpoint.
        """
        name = self._named(pointer)
        if name is None:
            return None
        if not (self.folder / name).is_dir():
            raise CheckpointError(f"{self.folder / pointer}: the checkpoint {name} is missing")
        return self.folder / name

    def _named(self, pointer: str) -> str | None:
        path = self.folder / pointer
        if not os.path.lexists(path):  # a link to nowhere is damage, and no new run
            return None
        name = read_bytes(path, CheckpointError, limit=1024).decode(errors="replace").strip()
        if not _NAME.fullmatch(name):
            raise CheckpointError(f"{path}: damaged, it does not name a checkpoint")
        return name

    def _meant(self) -> set[str]:
        return {name for pointer in POINTERS if (name := self._named(pointer))}

    def _prune(self) -> None:
        meant = self._meant()
        for folder in self.folder.iterdir():
            if kind_in_checkpoints((folder.name,)) == "folder" and folder.name not in meant:
                try:
                    _remove(folder)
                except OSError as error:
                    what = error.strerror or error
                    warnings.warn(f"{folder}: left as it is: {what}", stacklevel=2)


def _remove(folder: Path) -> None:
    """Remove a checkpoint. Raises OSError, with nothing removed, if it is a link or there is
    something in it that no checkpoint has."""
    if not os.path.lexists(folder):
        return
    if kind_of(folder) != "folder":
        raise OSError(f"{folder.name} is not a folder of a checkpoint")
    for each in folder.iterdir():
        if kind_of(each) != kind_in_checkpoints((folder.name, each.name)):
            raise OSError(f"{each.name} in it is not of a checkpoint")
    shutil.rmtree(folder)


def load_weights(folder: Path, model: nn.Module) -> None:
    """Fill `model` with the weights of a checkpoint, every one of them. Raises CheckpointError."""
    sizes = [each.numel() * each.element_size() for each in model.state_dict().values()]
    _check(folder, WEIGHTS, limit=sum(sizes) + _SLACK)
    _guarded(folder / WEIGHTS, lambda path: _fill(model, load_file(path)))


def load_state(folder: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The training state and its tensors. Raises CheckpointError."""
    weights = folder / WEIGHTS
    # An optimizer keeps some copies of the weights, none of them sixteen.
    limit = 16 * weights.stat().st_size if weights.is_file() else 0
    _check(folder, TENSORS, limit=limit + RECORD_LIMIT)
    _check(folder, STATE, limit=MAPPING_LIMIT)
    return read_mapping(folder / STATE), _guarded(folder / TENSORS, load_file)


def _write(folder: Path, model: nn.Module, state: dict[str, Any]) -> None:
    tensors = {key: tensor.clone().contiguous() for key, tensor in state.pop("tensors").items()}
    weights, firsts = model.state_dict(), _first_names(model).values()
    own = {name: weights[name].clone().contiguous() for name in dict.fromkeys(firsts)}
    _write_json(folder / STATE, state)
    mode = stat.S_IMODE((folder / STATE).stat().st_mode)  # by the umask
    for name, content in ((WEIGHTS, own), (TENSORS, tensors)):
        save_file(content, folder / name)
        (folder / name).chmod(mode)  # which that library makes for the owner alone
    sums = {name: sha256(folder / name) for name in (WEIGHTS, TENSORS, STATE)}
    _write_json(folder / SUMS, {"format": FORMAT, "sha256": sums})
    for path in (*folder.iterdir(), folder):
        _sync(path)


def _write_json(path: Path, content: Any) -> None:
    with new_file(path) as file:
        file.write(json.dumps(content).encode())


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


def _check(folder: Path, name: str, limit: int) -> None:
    """A flipped bit loads without a word, so the checksum is looked at first."""
    path = folder / SUMS
    content = read_mapping(path, limit=MAPPING_LIMIT)
    if not isinstance(content.get("sha256"), dict):
        raise CheckpointError(f"{path}: damaged, there are no checksums in it")
    if content.get("format") != FORMAT:
        raise CheckpointError(f"{path}: the format is {shown(content.get('format'))}, not {FORMAT}")
    if not os.path.lexists(folder / name):
        raise CheckpointError(f"{folder / name}: the file is missing")
    if sha256(folder / name, limit=limit) != content["sha256"].get(name):
        raise CheckpointError(
            f"{folder / name}: damaged, its checksum is not the one it was written with"
        )


def _guarded(path: Path, read: Callable[[Path], Any]) -> Any:
    try:
        return read(path)
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        reason = " ".join(str(error).split())
        raise CheckpointError(f"{path}: cannot be loaded: {reason}") from None


def _sync(path: Path) -> None:
    """Wait until the file or folder is on the disk (a folder cannot be opened on Windows)."""
    if os.name == "nt" and path.is_dir():
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
