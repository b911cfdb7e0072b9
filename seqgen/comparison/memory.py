"""Peak memory: the most bytes of tensors that a work holds at once."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable

import torch
from torch.autograd.profiler import profile
from torch.autograd.profiler_util import MEMORY_EVENT_NAME

from seqgen.machine import finish_work


def peak_bytes(work: Callable[[], object], device: torch.device) -> int:
    """The most bytes that tensors took at a time during `work`, beyond what there was before it.

    What torch takes inside of its operations counts, too; parameters that are there already do
    not, nor does what Python itself takes. It is the same each time for the same work. On a GPU
    torch's allocator keeps count. On a CPU nothing does: the memory of the process says little,
    since freed memory stays with it, and comes from whoever ran before. So torch's profiler
    writes down what is allocated and freed, which makes the work slower by a half or so and takes
    about a kilobyte for each operation: nothing to be timed.
    """
    gc.collect()
    if device.type == "cuda":
        return _peak_of_allocator(work, device)
    return _peak_of_events(work)


def _peak_of_allocator(work: Callable[[], object], device: torch.device) -> int:
    finish_work(device)
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    work()
    finish_work(device)
    return int(torch.cuda.max_memory_allocated(device)) - before


def _peak_of_events(work: Callable[[], object]) -> int:
    # That something is freed which was there before is not among the events: the peak is then too
    # high by its size. No decoding does so: it leaves alone what it did not make.
    # The recorder behind the profiler announces its start and stop on stderr unless this says no;
    # it asks once a process.
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")
    with profile(profile_memory=True) as profiler:
        work()
    events = [each for each in profiler.kineto_results.events() if each.name() == MEMORY_EVENT_NAME]
    held = peak = 0
    for each in sorted(events, key=lambda event: event.start_ns()):
        held += each.nbytes()  # below zero where something is freed
        peak = max(peak, held)
    return peak
