"""A run as models for onnxruntime or for torch.export, which take their steps without seqgen.

`networks` says what these read and return. A folder of ONNX has a runner, which needs no seqgen.
"""

from __future__ import annotations

import json
import shutil
from importlib.util import find_spec
from pathlib import Path

import torch

from seqgen.errors import SetupError
from seqgen.export.description import description
from seqgen.export.networks import FORMS, Target, networks, written
from seqgen.files import temporary_name, write_file
from seqgen.models import evaluating
from seqgen.trained import TrainedRun

__all__ = ["Target", "contents", "export"]


def export(run: TrainedRun, to: Target, out: Path) -> list[str]:
    """Write the networks of a run, `meta.json` and, for ONNX, `runner.py` into the folder `out`.

    Returns remarks on what of the recipe the runner leaves out. Raises ValueError if a part cannot
    be exported, SetupError if the extra is not installed or the folder is taken.
    """
    _check_vacant(out)
    staging = temporary_name(out)
    try:
        staging.mkdir(parents=True)  # before the work, since it may not be writable
        files = contents(run, to)
        with evaluating(run.built.model):
            meta, remarks = description(run)
        files["meta.json"] = f"{json.dumps({**meta, 'target': to}, indent=1)}\n".encode()
        if to == "onnx":
            files["runner.py"] = Path(__file__).with_name("runner.py").read_bytes()
        for file, content in files.items():
            write_file(staging / file, content)
        staging.replace(out)
    except OSError as error:
        raise SetupError(f"{out}: cannot be written: {error.strerror}") from None
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return remarks if to == "onnx" else []


def contents(run: TrainedRun, to: Target) -> dict[str, bytes]:
    """The files of the networks, each of which gives what the run does for inputs of other sizes
    than those that were traced, too. Raises ValueError, SetupError."""
    if to == "onnx":
        _require_onnx()
    form = FORMS[to]
    with evaluating(run.built.model), torch.inference_mode(False), torch.no_grad():
        every = networks(run)
        return {f"{name}.{form.suffix}": written(name, every[name], form) for name in every}


def _check_vacant(out: Path) -> None:
    try:
        taken = out.is_symlink() or (out.exists() and (not out.is_dir() or any(out.iterdir())))
    except OSError as error:
        raise SetupError(f"{out}: cannot be read: {error.strerror}") from None
    if taken:
        raise SetupError(f"{out}: not an empty folder; choose another with --out")


def _require_onnx() -> None:
    missing = [each for each in ("onnx", "onnxruntime", "onnxscript") if find_spec(each) is None]
    if missing:
        how = "pip install 'seqgen-toolkit[export]'"
        raise SetupError(f"--to onnx needs {', '.join(missing)}: {how}")
