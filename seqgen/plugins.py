"""Plugins: files that a recipe names and installed packages, imported so that they register."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
import traceback
import warnings
from collections.abc import Mapping, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from seqgen.attentions import attentions
from seqgen.cells import cells
from seqgen.data import corpora, data
from seqgen.decoders import constraints, decoders, drafts, truncations
from seqgen.embeddings import embeddings
from seqgen.encoders import bridges, encoders
from seqgen.errors import PluginError
from seqgen.files import local_path, sha256
from seqgen.heads import heads
from seqgen.metrics import metrics
from seqgen.models import models
from seqgen.registry import Registry, place_of
from seqgen.tokenizers import tokenizers
from seqgen.trackers import trackers
from seqgen.training import averages, optimizers, schedules

_REGISTRIES: tuple[Registry[Any], ...] = (
    *(tokenizers, data, corpora, embeddings, cells, heads, encoders, bridges, attentions, models),
    *(decoders, constraints, truncations, drafts, metrics, optimizers, schedules, averages),
    trackers,
)
ROOMS: dict[str, Registry[Any]] = {registry.room: registry for registry in _REGISTRIES}
"""Every registry, by the name of its room."""

GROUP = "seqgen.plugins"
"""The entry points under which installed packages declare their plugins."""

_PREFIX = "seqgen_plugin_"
"""What the module name of an imported plugin file begins with."""


def load_installed() -> None:
    """Import what installed packages declare; a broken plugin is a warning."""
    for entry in entry_points(group=GROUP):
        try:
            entry.load()
        except Exception as error:  # someone else's code: whatever it raises, the rest goes on
            reason = f"{type(error).__name__}: {error}"
            warnings.warn(f"plugin '{entry.name}' ({entry.value}): {reason}", stacklevel=2)


def load_files(paths: Sequence[str]) -> None:
    """Import plugin files, each once. Raises PluginError, which names the file."""
    for path in map(Path, paths):
        if not path.is_file():
            raise PluginError(f"plugin {path}: no such file")
        # The digest distinguishes two files called cell.py.
        digest = hashlib.sha256(str(path).encode()).hexdigest()[:8]
        name = f"{_PREFIX}{path.stem}_{digest}"
        if name in sys.modules:
            continue
        specification = importlib.util.spec_from_file_location(name, path)
        if specification is None or specification.loader is None:
            raise PluginError(f"plugin {path}: not a Python file")
        sys.modules[name] = module = importlib.util.module_from_spec(specification)
        try:
            specification.loader.exec_module(module)
        except Exception as error:
            del sys.modules[name]
            if isinstance(error, PluginError):
                raise
            reason = f"{type(error).__name__}: {error}"
            raise PluginError(f"plugin {path}: cannot be imported: {reason}") from error


def load_given(
    given: Sequence[str | Path], named: Sequence[str], recorded: Mapping[str, str], run: str
) -> tuple[str, ...]:
    """Import the files `given` for a run whose recipe names the files `named`.

    A run directory may come from anyone, so none of its code is imported unless a person gives the
    file: one of the same path, or of the same name. `recorded` are the hashes in the manifest of
    the run; a file with another one is a warning. Returns the paths that were imported. Raises
    PluginError if a file is not given.
    """
    files = [Path(each).resolve() for each in given]
    for name in named:
        same = [each for each in files if each == Path(name)]
        same = same or [each for each in files if each.name == Path(name).name]
        if not same:
            raise PluginError(
                f"{run}: it was trained with the plugin {name}, and code is imported only if you "
                f"name it: give --plugin {name} (in Python, plugins=[...])"
            )
        if (
            same[0].is_file()
            and name in recorded
            and recorded[name] != sha256(same[0], PluginError)
        ):
            text = f"plugin {same[0]}: not what the run was trained with (another SHA-256)"
            warnings.warn(text, stacklevel=2)
    paths = tuple(map(str, files))
    load_files(paths)
    return paths


def blamed(error: Exception) -> str | None:
    """The place of the plugin that caused `error`, as `file:line`; None if no plugin did.

    It is the line of a plugin that ran last, or the class of an object that lacks what is required
    of every such part.
    """
    packages = {entry.module.partition(".")[0] for entry in entry_points(group=GROUP)}

    def outside(module: str) -> bool:
        return module.startswith(_PREFIX) or module.partition(".")[0] in packages

    incomplete = type(error.obj) if isinstance(error, AttributeError) else object
    place = place_of(incomplete) if outside(incomplete.__module__) else None
    for frame, line in traceback.walk_tb(error.__traceback__):
        if outside(str(frame.f_globals.get("__name__", ""))):
            place = f"{local_path(Path(frame.f_code.co_filename))}:{line}"
    return place


def loaded_files() -> list[str]:
    """The plugin files that have been imported."""
    found = [each for name, each in sys.modules.items() if name.startswith(_PREFIX)]
    return [str(each.__file__) for each in found]
