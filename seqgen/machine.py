"""The machine: which device, precision and number of threads to use."""

from __future__ import annotations

import ctypes
import os
import platform
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from seqgen.errors import SetupError

Device = Literal["auto", "cpu", "cuda"]
Precision = Literal["auto", "float32", "bfloat16"]

MOST_THREADS = 1024
Threads = Annotated[int, Field(ge=1, le=MOST_THREADS)] | Literal["auto"]
"""With more, the libraries underneath may end the process when they start them."""


def choose_device(wanted: Device) -> torch.device:
    """`auto` takes a GPU where there is one. Raises SetupError if `cuda` is not available."""
    if wanted == "cuda" and not torch.cuda.is_available():
        raise SetupError("device: cuda was requested, but torch finds no GPU here; use device=cpu")
    if wanted == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(wanted)


def available_cores() -> int:
    """The cores that this process may use: its share, if torchrun has started several here, else
    at most OMP_NUM_THREADS (which torchrun sets to 1 by itself)."""
    cores = os.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    processes = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    if processes == 1 and wanted.isdigit():
        cores = min(cores, int(wanted))
    return max(1, cores // processes)


WORK_PER_THREAD = 200_000_000
"""Products of a batch (parameters times tokens) that make one more thread worthwhile."""

STEP_WORK_PER_THREAD = 50_000_000
"""The same of one step of generation (parameters times rows)."""


def choose_threads(
    wanted: Threads, work: int, most: int, *, per_thread: int = WORK_PER_THREAD
) -> int:
    """How many threads to compute with, for batches or steps of `work` products; `auto` takes up to
    `most`, and up to 8.

    If a recurrent step is little work, threads wait for one another longer than they compute. The
    rule uses nothing that varies from run to run, since the last bits of results depend on the
    number of threads.
    """
    if wanted != "auto":
        return wanted
    return max(1, min(most, 8, work // per_thread))


@contextmanager
def computing(threads: int | None = None) -> Iterator[None]:
    """A context in which torch computes with so many threads (None: with as many as before), after
    which it has as many as before, whoever changed them."""
    before = torch.get_num_threads()
    try:
        if threads is not None:
            torch.set_num_threads(threads)
        yield
    finally:
        torch.set_num_threads(before)


def choose_precision(wanted: Precision, device: torch.device) -> Literal["float32", "bfloat16"]:
    """The precision of training; `auto` takes bfloat16 where the device has arithmetic for it.

    On CPUs that is AMX (the native LSTM is two to four times as fast) or AVX512-BF16 (1.5 to 1.8
    times). Elsewhere bfloat16 is emulated and slower than float32.
    """
    if wanted != "auto":
        return wanted
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    # An older torch does not say; then use the precision that works everywhere.
    capabilities: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    able = capabilities.get("amx_bf16") or capabilities.get("avx512_bf16")
    return "bfloat16" if able else "float32"


@contextmanager
def memory_for(what: str) -> Iterator[None]:
    """A context in which running out of memory is a SetupError that says what it was for."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "allocate" not in str(error):
            raise
        reason = " ".join(str(error).split()) or "out of memory"
        raise SetupError(f"not enough memory for {what}: {reason}") from error


@contextmanager
def double_precision() -> Iterator[None]:
    """A context in which new tensors are of float64 by default: for the states of models that are
    in double precision. It concerns all threads of the process."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def keep_random_state(device: torch.device) -> AbstractContextManager[None]:
    """A context after which random numbers go on, on the CPU and on `device`, as if none had been
    drawn in it."""
    return torch.random.fork_rng([device] if device.type == "cuda" else [])


WORTH_PACKING = 2**18
"""The number of weights from which the products of a few rows are faster when they are packed."""


def packed_linear(weight: Tensor, bias: Tensor | None) -> Callable[[Tensor], Tensor]:
    """`functional.linear` with these weights for a few rows `[..., input]`, again and again.

    Good until the weights change, and without gradients. On CPUs oneDNN, which torch carries, is
    faster where `weight: [output, input]` is in the order that its loops read: 32 rows with 8,000
    tokens take half the time, and 5 rows with 512 x 1024 weights 1.3 of a single row's, not 3.3.
    """
    packable = weight.device.type == "cpu" and weight.dtype == torch.float32
    available = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    if not packable or weight.numel() < WORTH_PACKING or not available:
        return lambda rows: functional.linear(rows, weight, bias)
    onednn = torch.ops.mkldnn
    packed = onednn._reorder_linear_weight(weight.detach(), 32)

    def product(rows: Tensor) -> Tensor:
        found: Tensor = onednn._linear_pointwise(rows, packed, bias, "none", [], "")
        return found

    return product


def finish_work(device: torch.device) -> None:
    """Wait until `device` is idle: a GPU works asynchronously."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def hardware(device: torch.device) -> str:
    """The name of the GPU or of the processor, such as `AMD EPYC`; a general name if the system
    does not say."""
    if device.type == "cuda":
        return str(torch.cuda.get_device_name(device))
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:  # not Linux
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return next(iter(names), platform.processor() or platform.machine())


def keep_freed_memory() -> None:
    """Have the C library keep freed memory for the next step instead of returning it.

    Training frees and takes the same large buffers in every step. By default glibc hands each
    back to the system, which clears it again page by page: 20 to 30 % of a step. For a process of
    our own only (the command line), since it concerns all code in it; nothing elsewhere.
    """
    if not sys.platform.startswith("linux"):
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library
        return
    trim_threshold, mmap_max = -1, -4  # the numbers of M_TRIM_THRESHOLD and M_MMAP_MAX in malloc.h
    mallopt(mmap_max, 0)
    mallopt(trim_threshold, 2**31 - 1)
