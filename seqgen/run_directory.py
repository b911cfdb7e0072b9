"""The run directory: its files, its manifest, who may write there, and what may be removed."""

from __future__ import annotations

import json
import os
import platform
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from filelock import FileLock, Timeout

from seqgen import files, plugins
from seqgen.build import Built
from seqgen.config import ConfigFile, Override, bundled_recipes
from seqgen.data import Dataset
from seqgen.errors import CheckpointError, PluginError, SetupError
from seqgen.machine import choose_precision
from seqgen.options import did_you_mean, for_json
from seqgen.recipe import Recipe, check_recipe, named_plugins
from seqgen.tokenizers import Tokenizers
from seqgen.trackers import SENT
from seqgen.training import Checkpoints, kind_in_checkpoints
from seqgen.version import __version__
from seqgen.yaml_io import load_document

# The manifest: everything that is needed to repeat a run.

FIXED = ("data", "tokenizer", "tokenizers", "share_tokenizer", "model", "seed", "train.optimizer")
"""The recipe keys that a resumed run may not change."""

BITWISE = ("torch", "threads", "device", "precision", "fast")
"""Where these differ, a resumed run goes on, but its results are not bitwise identical."""


def manifest(
    built: Built, dataset: Dataset[Any], file: ConfigFile, command: Sequence[str]
) -> dict[str, Any]:
    """The record of a run that is about to begin."""
    recipe, train = built.recipe, built.recipe.train
    limits = {"steps": train.max_steps, "epochs": train.max_epochs, "seconds": train.max_seconds}
    budget = [f"{value:g} {name}" for name, value in limits.items() if value is not None]
    held_out = {"valid": dataset.valid, "test": dataset.test}
    return {
        "recipe": Path(file.name).stem,
        "description": recipe.description,
        "command": list(command) or sys.argv,
        "seed": recipe.seed,
        "data": built.data.fingerprint(),
        "remarks": list(built.data.remarks()),
        "plugins": {each: files.sha256(Path(each), PluginError) for each in recipe.plugins},
        "parameters": built.parameters,
        "vocab_size": len(built.tokenizer),
        "tokenizers": fingerprints(built.tokenizers),
        "tokenizer_files": {
            field: sorted(each.files()) for field, each in built.tokenizers.items()
        },
        "train_tokens": dataset.train.tokens,
        "train_chars": dataset.train.size.chars,
        "longest": dataset.train.longest,
        **{f"{name}_tokens": part.tokens for name, part in held_out.items() if part is not None},
        "steps_per_epoch": dataset.train.steps_per_epoch,
        "budget": " or ".join(budget) + (", whichever comes first" if len(budget) > 1 else ""),
        "device": str(built.device),
        "threads": built.threads,
        "precision": choose_precision(train.precision, built.device),
        "seqgen": __version__,
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "numpy": np.__version__,
        "platform": platform.platform(),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def check_same(directory: RunDirectory, recipe: Recipe, record: dict[str, Any]) -> dict[str, Any]:
    """The manifest of the run in `directory`, if `recipe` may resume it.

    `record` is the manifest of a run that would begin now. Raises CheckpointError if the model, the
    tokenizer or the data differ; other differences, such as the machine, are warnings.
    """
    content = files.read_bytes(directory.recipe, CheckpointError, limit=files.OPTIONS_LIMIT)
    before = flat_options(load_document(content, str(directory.recipe)).data)
    now = flat_options(recipe.plain())
    changed = {
        key: f"{key} was {before[key]!r} and is {now.get(key)!r}"
        for key in sorted(before)  # what it lacks is an option that is newer than the run
        if before[key] != now.get(key)
    }
    fixed = tuple(f"{each}." for each in FIXED)
    refused = [text for key, text in changed.items() if f"{key}.".startswith(fixed)]
    if refused:
        raise CheckpointError(f"{directory.folder}: cannot be resumed: {'; '.join(refused[:3])}")
    for text in changed.values():
        warnings.warn(f"the run goes on with a change: {text}", stacklevel=2)
    old = directory.record()
    if old.get("data") != record["data"]:
        raise CheckpointError(f"{directory.folder}: cannot be resumed: the data has changed")
    check_tokenizers(directory, record["tokenizers"])
    hashes = old.get("plugins")
    for path, found in record["plugins"].items():
        if isinstance(hashes, dict) and hashes.get(path, found) != found:
            warnings.warn(f"plugin {path}: the file has changed since the run began", stacklevel=2)
    for key in BITWISE:
        if (old.get(key) or {}) != (record[key] or {}):  # an older run has no "fast"
            change = f"{key} was {old.get(key)} and is {record[key]}"
            warnings.warn(f"{change}: results will not be bitwise identical", stacklevel=2)
    return old


def fingerprints(tokenizers: Tokenizers) -> dict[str, str]:
    """What distinguishes the vocabularies of a run from others of the same size."""
    return {field: tokenizer.fingerprint() for field, tokenizer in tokenizers.items()}


def check_tokenizers(directory: RunDirectory, found: dict[str, str]) -> None:
    """Raises CheckpointError unless they are the run's own; others of the same size would load."""
    if directory.record().get("tokenizers") != found:
        raise CheckpointError(f"{directory.tokenizer}: not what this run began with")


def flat_options(data: Any, path: str = "") -> dict[str, Any]:
    """Nested mappings as one, with dotted keys."""
    if not isinstance(data, dict):
        return {path: data}
    flat: dict[str, Any] = {}
    for key, value in data.items():
        flat.update(flat_options(value, f"{path}.{key}" if path else key))
    return flat


# The folder.

REPORT = ("report.html", "loss.png", "loss.pdf")
"""What is made from the other files, and can be made again."""

FILES = {
    *("recipe.yaml", "manifest.json", "metrics.jsonl", "result.json"),
    *("samples.json", "samples.txt", "answers.json", "attention.json"),
    *REPORT,
}
"""All files that a run writes, except its lock and those in folders of its parts."""

_LOCK = ".lock"


def kind_in_a_run(parts: tuple[str, ...], there: str = "file") -> str | None:
    """What a run writes at `parts`, a path in its folder: a `file`, a `folder`, or None.

    A temporary name counts as the final name of its file. `tokenizer` has a folder for each field,
    with files whose names the tokenizer chooses. `trackers` has a folder for each tracker, in which
    all is its own, whatever is `there`.
    """
    first, *rest = parts
    if first == "checkpoints" and rest:
        return kind_in_checkpoints(tuple(rest))
    if first == "tokenizer" and rest:
        return {1: "folder", 2: "file"}.get(len(rest))
    if first == "trackers" and rest:
        if len(rest) == 1:
            return "file" if files.written_as(rest[0]) == SENT else "folder"
        return there
    if first in ("tokenizer", "checkpoints", "trackers"):
        return "folder"
    return "file" if not rest and (first == _LOCK or files.written_as(first) in FILES) else None


class _Entry(NamedTuple):
    """A path in the folder, its kind, and the kind that a run has there."""

    parts: tuple[str, ...]
    kind: str
    wanted: str | None

    @property
    def temporary(self) -> bool:
        """Whether it is a temporary file or folder of the process that was writing it."""
        name = self.parts[-1]
        of_checkpoint = self.parts[0] == "checkpoints" and name.startswith(".")
        unfinished = self.kind == "file" and files.written_as(name) != name
        return self.kind == self.wanted and (unfinished or of_checkpoint)

    @property
    def blank(self) -> bool:
        """Whether a run that was killed before it wrote any file could have left this. (Without
        a manifest that lists its files, `tokenizer` may have anything in it.)"""
        if self.parts[0] == "tokenizer" or self.kind == "folder":
            return self.kind == self.wanted == "folder"
        return self.temporary or self.parts == (_LOCK,)

    def foreign(self, record: Mapping[str, Any]) -> bool:
        """Whether it was not written by the run of that manifest."""
        if self.kind != self.wanted:
            return True
        if self.parts[0] != "tokenizer" or len(self.parts) == 1:
            return False
        field, *names = self.parts[1:]
        recorded = record.get("tokenizer_files")
        if not isinstance(recorded, dict):  # by an earlier version, which left no temporary files
            return any(files.written_as(name) != name for name in names)
        own = recorded.get(field)
        return not isinstance(own, list) or any(files.written_as(name) not in own for name in names)


class RunDirectory:
    """The files of one run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.recipe = folder / "recipe.yaml"
        """The resolved recipe; a folder that has it is a run."""
        self.manifest = folder / "manifest.json"
        """Versions, seed, hashes of the data, command line; it shows that a run made the folder."""
        self.metrics = folder / "metrics.jsonl"
        """The log, one event a line."""
        self.result = folder / "result.json"
        """The final figures."""
        self.tokenizer = folder / "tokenizer"
        """The fitted vocabularies, a folder for each field."""
        self.checkpoints = folder / "checkpoints"
        """See `training.checkpoint`."""
        self.trackers = folder / "trackers"
        """What trackers keep, a folder for each."""

    def exists(self) -> bool:
        """Whether a run has begun here."""
        try:
            return self.recipe.is_file()
        except OSError:  # a name that no file can have
            return False

    def require(self) -> None:
        """Raises CheckpointError, naming the runs nearby, unless a run has begun here."""
        if self.exists():
            return
        message = f"{self.folder}: no run here (there is no recipe.yaml in it)"
        found = runs_near(self.folder)
        near = did_you_mean(self.folder.name, [each.name for each in found])
        some = ", ".join(map(str, found[:8])) + (", ..." if len(found) > 8 else "")
        is_recipe = self.folder.suffix == ".yaml" or str(self.folder) in bundled_recipes()
        if is_recipe and not near:
            message += f"; it is a recipe: seqgen run {self.folder} makes a run of it"
        elif found:
            message += f"{near or ';'} there are {some}"
        raise CheckpointError(message)

    def record(self) -> dict[str, Any]:
        """The manifest. Raises CheckpointError if it is not the manifest of a run."""
        record = self.read_json(self.manifest)
        if not isinstance(record.get("seqgen"), str):
            raise CheckpointError(f"{self.manifest}: damaged, this is not the manifest of a run")
        for key in ("data", "tokenizers"):
            if not isinstance(record.get(key, {}), dict):
                raise CheckpointError(f"{self.manifest}: damaged, `{key}` must be a mapping")
        return record

    def _record(self) -> dict[str, Any] | None:
        """The manifest, or None if it is not the manifest of a run."""
        with suppress(CheckpointError):
            return self.record()
        return None

    def check_free(self, *, resume: bool, overwrite: bool) -> None:
        """Refuse a folder into which the run may not write; nothing is written.

        Raises CheckpointError if there is nothing to resume, or if it is no run that seqgen would
        have made; SetupError if the folder is taken, or holds what is not a run's.
        """
        folder = self.folder
        if os.path.lexists(folder) and not os.path.isdir(folder):  # noqa: PTH112
            raise SetupError(f"{folder}: not a directory; choose another with --out")
        entries = [*self._entries()]
        killed_early = self._record() or (entries and all(each.blank for each in entries))
        if resume and (self.exists() or not killed_early):
            self.require()
            self.record()
        else:
            self._check_not_taken(entries, overwrite)
        self._check_own(entries)

    def _check_not_taken(self, entries: list[_Entry], overwrite: bool) -> None:
        if all(each.blank for each in entries):
            return
        record = self._record()
        if record is not None and self.exists() and not overwrite:
            raise SetupError(
                f"{self.folder}: has a run already; --resume it, --overwrite it, or choose "
                "another --out"
            )
        foreign = ["/".join(each.parts) for each in entries if each.foreign(record or {})]
        files.check_unoccupied(self.folder, "run", foreign, ours=record is not None)

    def _check_own(self, entries: list[_Entry]) -> None:
        """Raises CheckpointError if a link (or a pipe, ...) has the name of a file of the run."""
        for parts, kind, wanted in entries:
            # A field of the tokenizer may have any name, so nothing can be said of files there.
            if wanted and kind != wanted and (len(parts) == 1 or kind in ("link", "other")):
                path = self.folder.joinpath(*parts)
                what = {"link": "a link", "other": "not a regular file"}.get(kind, f"a {kind}")
                raise CheckpointError(f"{path}: this is {what}, where a run has a {wanted}")

    def clear(self) -> None:
        """Remove the files of a run and nothing else; those that mark it as a run go last.

        Raises SetupError if something else is in the folder; nothing is removed then.
        """
        entries = [*self._entries()]
        self._check_not_taken(entries, overwrite=True)
        last = [(self.recipe.name,), (self.manifest.name,)]
        self._remove([each for each in entries if each.parts not in [(_LOCK,), *last]])
        self.recipe.unlink(missing_ok=True)
        self.manifest.unlink(missing_ok=True)

    def _remove(self, entries: list[_Entry]) -> None:
        """Files first and folders from within; a folder stays unless it is empty by then."""
        for parts, kind, _ in sorted(entries, reverse=True):
            path = self.folder.joinpath(*parts)
            if kind == "folder":
                with suppress(OSError):
                    path.rmdir()
            else:
                path.unlink(missing_ok=True)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Lock the folder while writing, and remove temporary files of killed processes.

        The system drops the lock with the process that holds it. Raises SetupError if another
        process holds it or nothing can be written, CheckpointError if something here is a link.
        """
        lock = FileLock(self.folder / _LOCK)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._check_own([*self._entries()])
            held = lock.acquire(timeout=0)
        except Timeout:
            raise SetupError(f"{self.folder}: another run is writing here") from None
        except FileExistsError:
            raise SetupError(f"{self.folder}: not a directory; choose another with --out") from None
        except OSError as error:
            raise SetupError(f"{self.folder}: cannot be written: {error.strerror}") from None
        with held:
            self._prepare()
            yield

    def _prepare(self) -> None:
        """Remove temporary files, and test that files can be created here and in the subfolders."""
        record = self._record() or {}
        own = [each for each in self._entries() if not each.foreign(record)]
        writing = [each.parts for each in own if each.temporary and each.kind == "folder"]
        path = self.folder
        try:
            self._remove([each for each in own if each.temporary or each.parts[:2] in writing])
            for path in (self.recipe, self.checkpoints / "last"):
                if path.parent.is_dir():
                    files.new_file(files.temporary_name(path)).close()
                    files.temporary_name(path).unlink()
        except OSError as error:
            raise SetupError(f"{path.parent}: cannot be written: {error.strerror}") from None

    def _entries(self) -> Iterator[_Entry]:
        """What lies in the folder and in its subfolders that belong to a run."""
        waiting: list[tuple[str, ...]] = [()]
        while waiting:
            above = waiting.pop()
            path = self.folder.joinpath(*above)
            try:
                found = sorted((each.name, files.kind_of(each)) for each in path.iterdir())
            except (FileNotFoundError, NotADirectoryError):  # it is created, or refused, later
                continue
            except OSError as error:
                raise SetupError(f"{path}: cannot be read: {error.strerror}") from None
            for name, kind in found:
                parts = (*above, name)
                wanted = kind_in_a_run(parts, kind)
                yield _Entry(parts, kind, wanted)
                if kind == wanted == "folder":
                    waiting.append(parts)

    def write_json(self, path: Path, content: Any) -> None:
        """Write a file whole or not at all; a number that JSON cannot hold becomes null."""
        files.write_file(path, json.dumps(for_json(content), indent=2, ensure_ascii=False) + "\n")

    def read_json(self, path: Path) -> dict[str, Any]:
        """The mapping that `write_json` wrote. Raises CheckpointError."""
        return files.read_mapping(path, limit=files.MAPPING_LIMIT)


def runs_near(folder: Path) -> list[Path]:
    """The run that `folder` is in, or those in it, or else those next to it and in `runs`."""
    if RunDirectory(folder.parent).exists():
        return [folder.parent]
    found: set[Path] = set()
    for places in ([folder], [folder.parent, Path("runs")]):
        with suppress(OSError, ValueError):  # a name that no file can have, nothing to be read
            found |= {each.parent for place in places for each in place.glob("*/recipe.yaml")}
        if found:
            break
    return sorted(found)


def saved_recipe(
    directory: RunDirectory, overrides: Sequence[str | Override], given: Sequence[str | Path]
) -> tuple[Recipe, ConfigFile]:
    """The recipe of a run, checked, with the plugins that a person gave for it.

    Raises CheckpointError if there is no run in the folder, PluginError if a plugin is not given,
    RecipeError.
    """
    directory.require()
    file = ConfigFile.read(directory.recipe, overrides)
    plugins.load_installed()
    recorded = directory.record().get("plugins")
    hashes = recorded if isinstance(recorded, dict) else {}  # an older run has none
    files = plugins.load_given(given, named_plugins(file), hashes, str(directory.folder))
    return replace(check_recipe(file), plugins=files), file


def best_checkpoint(directory: RunDirectory) -> Path:
    """The folder of the best checkpoint, or the last one if none is the best yet.

    Raises CheckpointError if there is none.
    """
    checkpoints = Checkpoints(directory.checkpoints)
    found = checkpoints.find("best") or checkpoints.find("last")
    if found is None:
        raise CheckpointError(f"{directory.folder}: no checkpoint yet")
    return found
