"""The loops over time as compiled functions: written, kept on disk, called with a share of rows."""

from __future__ import annotations

import ctypes
import hashlib
import importlib.util
import os
import stat
import sys
from pathlib import Path
from typing import Any

import numba
import torch
from torch import Tensor

from seqgen.fast import kernels
from seqgen.fast.derive import Derived, Level, TimeLoop, Values
from seqgen.fast.elements import UnwritableError
from seqgen.fast.write import Writer, Written
from seqgen.files import cache_file, cache_folder

HEADER = """\
import math

import numpy as np
from numba import njit

from seqgen.fast.kernels import FAST, Apart, exp, f, log, log1p, product, sigmoid, sizes, tanh
"""


class CompiledLoops:
    """As `EagerLoops`, in a compiled function for each loop.

    Raises UnwritableError if one cannot be written, OSError or SetupError if there is no place.
    """

    def __init__(self, derived: Derived) -> None:
        if not kernels.HAS_PRODUCT:
            raise UnwritableError("torch has no matrix product that could be called")
        loops = written_loops(derived)
        self.functions = {level: (each, load(each.source)) for level, each in loops.items()}

    def run(
        self, loop: TimeLoop, values: Values, state: list[Tensor], *, time: int, batch: int
    ) -> list[Tensor]:
        """All steps from `state`: puts what crosses into `values`, returns the last state."""
        written, function = self.functions[loop.level]
        before, after = slice(0, time), slice(1, time + 1)  # of a step, in time + 1 states
        begin, end = 0, time
        if loop.level == Level.BACKWARD:
            before, after, begin, end = after, before, end, begin
        arrays: dict[str, Tensor] = {}
        for number, first in enumerate(state):
            every = arrays[f"s{number}"] = first.new_empty(time + 1, *first.shape)
            every[begin] = first
            values[loop.holders[number]] = every[before].flatten(0, 1)
        for number, node in enumerate(loop.part.inputs):
            if f"i{number}" in written.arguments:
                arrays[f"i{number}"] = values[node].contiguous()
        for name, (row, dtype) in written.made.items():
            arrays[name] = torch.empty(time * batch * row, dtype=dtype)
        flat = [arrays[name].detach().view(-1).numpy() for name in written.arguments]
        share_rows(function, time, batch, flat)
        for node, (name, shape) in written.results.items():
            found = arrays[name]
            if name.startswith("s"):
                found = found[after]
            values[node] = found.view(time * batch, *shape)
        return [arrays[f"s{number}"][end].clone() for number in range(len(state))]


def written_loops(derived: Derived) -> dict[int, Written]:
    """The loops of the parts that run time by time. Raises UnwritableError if one has none."""
    return {level: Writer(loop).write() for level, loop in derived.loops.items()}


def share_rows(function: Any, time: int, batch: int, arrays: list[Any]) -> None:
    """Call `function` for all rows, a share of them on each of torch's threads.

    These are torch's own: others would meet them on the same processors, where they wait for its
    next operation by spinning.
    """
    openmp = kernels.openmp
    threads = min(torch.get_num_threads(), batch) if openmp is not None else 1
    if threads == 1:
        function(time, batch, 0, batch, *arrays)
        return
    failed: list[BaseException] = []

    def share(_: Any) -> None:
        number, count = openmp.omp_get_thread_num(), openmp.omp_get_num_threads()
        try:
            begin, end = batch * number // count, batch * (number + 1) // count
            function(time, batch, begin, end, *arrays)
        except BaseException as error:  # raised here, it would be lost
            failed.append(error)

    openmp.GOMP_parallel(SHARE(share), None, threads, 0)
    if failed:
        raise failed[0]


SHARE = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


def load(source: str) -> Any:
    """The function `loop` of `source`; what numba makes of it is kept beside the source, on disk.

    The name is a hash of all that it depends on; numba adds the processor's name and its version.
    """
    own = Path(kernels.__file__).read_text(encoding="utf-8")
    text = HEADER + "\n\n" + source
    name = hashlib.sha256(f"{numba.__version__}{own}{text}".encode()).hexdigest()[:24]
    path = folder() / f"loop_{name}.py"
    if not path.exists():
        with cache_file(path) as file:
            file.write(text.encode())
    module_name = f"seqgen_loops.{path.stem}"
    if module_name not in sys.modules:
        spec = importlib.util.spec_from_file_location(module_name, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[module_name] = module
        spec.loader.exec_module(module)
    return sys.modules[module_name].loop


def folder() -> Path:
    """Where loops are kept: for nobody else to write to, since what lies there is run.

    Raises OSError or SetupError if that cannot be had.
    """
    path = cache_folder() / "loops"
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    if os.name == "posix":
        found = path.stat()
        if found.st_uid != os.getuid() or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise PermissionError(f"{path} can be written to by others")
    return path
