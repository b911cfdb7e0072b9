"""Cost: the seconds, the calls and rows of the model, and the memory that each system takes."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import count
from statistics import median

import torch
from torch.autograd.profiler import profile
from torch.autograd.profiler_util import MEMORY_EVENT_NAME

from seqgen.comparison.decode import Comparison, Progress
from seqgen.comparison.document import Seconds, Timing, Timings
from seqgen.comparison.plan import SpeedOptions
from seqgen.comparison.systems import System
from seqgen.decoders import Counting, watched
from seqgen.evaluate import DecodingOptions, evenly_spaced, outputs
from seqgen.machine import finish_work, hardware

Candidate = Callable[..., list[int]]
"""Decodes once, and counts the work if it is given what counts: the tokens of each output."""


def measure_cost(
    comparison: Comparison, texts: Sequence[str], clock: Callable[[], float] = time.perf_counter
) -> Timings | None:
    """The cost of each system for as many of the `texts` as the plan says, evenly spread; None
    where the plan has no repeats.

    Unlike all else it is in the precision that the runs have themselves, and in batches of the
    plan's own size. Calls, rows and peak memory are those of one more decoding, by the first seed,
    when all is warm.
    """
    options, runs = comparison.plan.speed, comparison.runs
    texts = evenly_spaced(texts, options.inputs)
    if not options.repeats:
        return None
    candidates = {each.label: _candidate(comparison, each, texts) for each in comparison.systems}
    done, total = count(), (options.warm_ups + options.repeats + 1) * len(candidates)

    def announce(what: str, label: str) -> None:
        comparison.watch(Progress(next(done), total, f"{what} of {label}"))

    seconds = take_times(candidates, options, partial(announce, "speed"), clock)
    systems = {}
    for label, decode in candidates.items():
        announce("memory", label)
        systems[label] = _timing(decode, seconds[label], runs[0].built.device)
    device = runs[0].built.device
    precisions = dict.fromkeys(str(run.built.model.floats) for run in runs)
    return Timings(
        device=device.type,
        hardware=hardware(device),
        threads=max(run.built.most_threads for run in runs),
        torch=str(torch.__version__),
        precision=", ".join(each.removeprefix("torch.") for each in precisions),
        inputs=len(texts),
        batch_size=options.batch_size,
        warm_ups=options.warm_ups,
        repeats=options.repeats,
        systems=systems,
    )


def _candidate(comparison: Comparison, system: System, texts: Sequence[str]) -> Candidate:
    """What decodes the texts by a system; it returns when the device has finished."""
    plan, run = comparison.plan, comparison.runs[system.run]
    decoder = run.decoder(dict(system.spec), plan.seed)
    samples = plan.samples if system.draws else 1
    wanted = DecodingOptions(plan.speed.batch_size, plan.max_length, samples)

    def decode(counting: Counting | None = None) -> list[int]:
        by = decoder if counting is None else watched(decoder, counting)
        found = outputs(run.built.generator(), by, texts, wanted)
        finish_work(run.built.device)
        return [len(each.hypothesis.tokens) for own in found for each in own[: plan.samples]]

    return decode


def _timing(decode: Candidate, seconds: Seconds, device: torch.device) -> Timing:
    """What decoding in that time takes, found by decoding once more."""
    counting, sizes = Counting(), list[int]()
    peak = peak_bytes(lambda: sizes.extend(decode(counting)), device)
    return Timing(
        seconds=seconds,
        # None where the clock is too coarse to see that time went by.
        sequences_per_second=len(sizes) / seconds.median if seconds.median else None,
        tokens_per_second=sum(sizes) / seconds.median if seconds.median else None,
        calls=counting.calls,
        rows=counting.rows,
        peak_bytes=peak,
    )


def take_times(
    systems: Mapping[str, Callable[[], object]],
    options: SpeedOptions,
    announce: Callable[[str], object],
    clock: Callable[[], float],
) -> dict[str, Seconds]:
    """For each label the seconds of decoding once, over `repeats` rounds. A system decodes when it
    is called, and returns when all of it is done.

    Each round times every system once, so whatever slows the machine for a while slows all of them
    alike. Each begins with another one, since a decoder's time may depend on what ran before it.
    The first `warm_ups` rounds are not measured. `announce` is called with each label before its
    turn.
    """
    labels = list(systems)
    seconds: dict[str, list[float]] = {label: [] for label in labels}
    # Python is to look for garbage among new objects only: a look at all older ones takes longer
    # than many a decoding, and would fall on one of them by chance.
    gc.collect()
    gc.freeze()
    try:
        for turn in range(options.warm_ups + options.repeats):
            first = turn % len(labels)
            for label in labels[first:] + labels[:first]:
                announce(label)
                begun = clock()
                systems[label]()
                seconds[label].append(clock() - begun)
    finally:
        gc.unfreeze()
    measured = {label: every[options.warm_ups :] for label, every in seconds.items()}
    return {
        label: Seconds(min=min(taken), median=median(taken), max=max(taken))
        for label, taken in measured.items()
    }


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
        finish_work(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        work()
        finish_work(device)
        return int(torch.cuda.max_memory_allocated(device)) - before
    # That something is freed which was there before is not among the events: the peak is then too
    # high by its size. No decoding does so: it leaves alone what it did not make.
    # The profiler's recorder announces its start and stop on stderr unless this says no;
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
