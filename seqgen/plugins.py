"""Plugins: files that a recipe names and installed packages, imported so that they register."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
import warnings
from collections.abc import Sequence
from importlib.metadata import entry_points
from pathlib import Path

from seqgen.errors import PluginError

GROUP = "seqgen.plugins"


def load_installed() -> None:
    """Import what installed packages declare under `seqgen.plugins`; a broken one is a warning."""
    for entry in entry_points(group=GROUP):
        try:
            entry.load()
        except Exception as error:  # someone else's code: whatever it raises, the rest goes on
            reason = f"{type(error).__name__}: {error}"
            warnings.warn(f"plugin '{entry.name}' ({entry.value}): {reason}", stacklevel=2)


def load_files(paths: Sequence[str]) -> None:
    """Import the files that a recipe names. Errors: PluginError with the name."""
    for path in paths:
        _load_file(Path(path))


def _load_file(path: Path) -> None:
    if not path.is_file():
        raise PluginError(f"plugin {path}: no such file")
    # The name keeps two files called cell.py apart; a file is imported once.
    digest = hashlib.sha256(str(path).encode()).hexdigest()[:8]
    name = f"seqgen_plugin_{path.stem}_{digest}"
    if name in sys.modules:
        return
    specification = importlib.util.spec_from_file_location(name, path)
    if specification is None or specification.loader is None:
        raise PluginError(f"plugin {path}: not a Python file")
    module = importlib.util.module_from_spec(specification)
    sys.modules[name] = module
    try:
        specification.loader.exec_module(module)
    except PluginError:
        del sys.modules[name]
        raise
    except Exception as error:
        del sys.modules[name]
        reason = f"{type(error).__name__}: {error}"
        raise PluginError(f"plugin {path}: cannot be imported: {reason}") from error
