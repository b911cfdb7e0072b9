"""The run directory: what lies where in it, and who may write there."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seqgen.bundled_recipes import known_recipes
from seqgen.errors import CheckpointError, SetupError
from seqgen.files import read_mapping, write_file
from seqgen.plain_values import for_json

try:
    import fcntl
except ImportError:  # Windows has no flock; there a run is not protected from a second one
    fcntl = None  # type: ignore[assignment]

_FIRST = {"tokenizer", "manifest.json"}
"""What is there before recipe.yaml: a run that is killed that early may simply begin again."""

_TEMPORARY = re.compile(r"\..*\.tmp")


@dataclass(frozen=True)
class RunDirectory:
    """The files of one run."""

    folder: Path

    @property
    def recipe(self) -> Path:
        """The resolved recipe; a directory that has it is a run."""
        return self.folder / "recipe.yaml"

    @property
    def manifest(self) -> Path:
        """Versions, seed, hashes of the data, command line."""
        return self.folder / "manifest.json"

    @property
    def metrics(self) -> Path:
        """The log, one event a line."""
        return self.folder / "metrics.jsonl"

    @property
    def result(self) -> Path:
        """The figures at the end."""
        return self.folder / "result.json"

    @property
    def tokenizer(self) -> Path:
        """The fitted vocabulary."""
        return self.folder / "tokenizer"

    @property
    def checkpoints(self) -> Path:
        """See `training.checkpoint`."""
        return self.folder / "checkpoints"

    def exists(self) -> bool:
        """Whether a run has begun here."""
        try:
            return self.recipe.is_file()
        except OSError:  # a name that no file can have
            return False

    def require(self) -> None:
        """A CheckpointError unless a run has begun here."""
        if not self.exists():
            message = f"{self.folder}: no run here (there is no recipe.yaml in it)"
            if self.folder.suffix == ".yaml" or str(self.folder) in known_recipes():
                message += f"; it is a recipe: seqgen run {self.folder} makes a run of it"
            raise CheckpointError(message)

    def check_free(self, *, resume: bool, overwrite: bool) -> None:
        """Refuse a directory that is taken; writes nothing. Errors: SetupError."""
        folder = self.folder
        if os.path.lexists(folder) and not os.path.isdir(folder):  # noqa: PTH112
            raise SetupError(f"{folder}: not a directory; choose another with --out")
        taken = self.exists() or any(name not in _FIRST for name in self._names())
        if taken and not self.exists():
            raise SetupError(f"{folder}: not empty and not a run; choose another with --out")
        if taken and not (resume or overwrite):
            raise SetupError(
                f"{folder}: has a run already; --resume it, --overwrite it, or choose another --out"
            )

    def clear(self) -> None:
        """Remove what an earlier run has left; what makes it a run comes last."""
        names = [name for name in self._names() if name != self.recipe.name]
        for each in (*(self.folder / name for name in names), self.recipe):
            if each.is_dir() and not each.is_symlink():
                shutil.rmtree(each)
            else:
                each.unlink(missing_ok=True)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep others out while writing. Errors: SetupError where another process is in here."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = (self.folder / ".lock").open("w")
        except FileExistsError:
            raise SetupError(f"{self.folder}: not a directory; choose another with --out") from None
        except OSError as error:
            raise SetupError(f"{self.folder}: cannot be written: {error.strerror}") from None
        with lock:
            try:
                if fcntl is not None:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise SetupError(f"{self.folder}: another run is writing here") from None
            yield

    def _names(self) -> list[str]:
        """What lies in the folder, but for the lock and what a killed process was writing."""
        try:
            names = [each.name for each in self.folder.iterdir()]
        except (FileNotFoundError, NotADirectoryError):  # it will be made, or that will be said
            return []
        except OSError as error:
            raise SetupError(f"{self.folder}: cannot be read: {error.strerror}") from None
        return [name for name in names if name != ".lock" and not _TEMPORARY.fullmatch(name)]

    def write_json(self, path: Path, content: Any) -> None:
        """Write a file whole or not at all; a number that JSON cannot hold is written as null."""
        self.write(path, json.dumps(for_json(content), indent=2, ensure_ascii=False) + "\n")

    def read_json(self, path: Path) -> dict[str, Any]:
        """The mapping that `write_json` wrote. Errors: CheckpointError."""
        return read_mapping(path)

    def write(self, path: Path, text: str) -> None:
        """Write a file whole or not at all. Errors: SetupError."""
        write_file(path, text)
