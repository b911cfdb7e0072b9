"""Cost: the seconds, the calls and rows of the model, and the memory that each system takes."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import count
from statistics import median
from typing import NamedTuple

import torch
from torch.autograd.profiler import profile
from torch.autograd.profiler_util import MEMORY_EVENT_NAME

from seqgen.answers import DecodingOptions, evenly_spaced, outputs
from seqgen.comparison.decode import Comparison, Progress
from seqgen.comparison.document import Seconds, Timing, Timings
from seqgen.comparison.plan import SpeedOptions
from seqgen.decoders import Counting, Decoder, watched
from seqgen.machine import finish_work, hardware
from seqgen.trained import TrainedRun


class Decoded(NamedTuple):
    """What decoding once gave: so many sequences, which have so many tokens together."""

    sequences: int
    tokens: int


class Candidate(NamedTuple):
    """What is measured: a run and a decoder, what is wanted of them for each text, and how many
    outputs of what is found are used."""

    run: TrainedRun
    decoder: Decoder
    wanted: DecodingOptions
    used: int

    def decode(self, texts: Sequence[str], counting: Counting | None = None) -> Decoded:
        """Decode once; to be timed, so it returns when the device has finished."""
        decoder = self.decoder if counting is None else watched(self.decoder, counting)
        found = outputs(self.run.built.generator(), decoder, texts, self.wanted)
        finish_work(self.run.built.device)
        every = [each for own in found for each in own[: self.used]]
        return Decoded(len(every), sum(len(each.hypothesis.tokens) for each in every))


def measure_cost(
    comparison: Comparison,
    texts: Sequence[str],
    clock: Callable[[], float] = time.perf_counter,
) -> Timings | None:
    """The cost of each system for as many of the `texts` as the plan says, evenly spread; None
    where the plan has no repeats.

    Unlike all else it is in the precision that the runs have themselves, and in batches of the
    plan's own size. Calls, rows and peak memory are those of one more decoding, by the first seed,
    when all is warm.
    """
    plan, options = comparison.plan, comparison.plan.speed
    decoding = DecodingOptions(options.batch_size, plan.max_length)
    texts = evenly_spaced(texts, options.inputs)
    if not options.repeats or not texts:
        return None
    candidates = {
        system.label: Candidate(
            comparison.runs[system.run],
            comparison.runs[system.run].decoder(dict(system.spec), plan.seed),
            decoding._replace(samples=plan.samples if system.draws else 1),
            plan.samples,
        )
        for system in comparison.systems
    }
    done, total = count(), (options.warm_ups + options.repeats + 1) * len(candidates)

    def announce(what: str, label: str) -> None:
        comparison.watch(Progress(next(done), total, f"{what} of {label}"))

    decodes = {label: partial(each.decode, texts) for label, each in candidates.items()}
    times = take_times(decodes, options, partial(announce, "speed"), clock)
    systems = {}
    for label, candidate in candidates.items():
        announce("memory", label)
        counting = Counting()
        peak = peak_bytes(partial(candidate.decode, texts, counting), candidate.run.built.device)
        seconds, decoded = times[label]
        systems[label] = Timing(
            seconds=seconds,
            # None where the clock is too coarse to see that time went by.
            sequences_per_second=decoded.sequences / seconds.median if seconds.median else None,
            tokens_per_second=decoded.tokens / seconds.median if seconds.median else None,
            calls=counting.calls,
            rows=counting.rows,
            peak_bytes=peak,
        )
    device = comparison.runs[0].built.device
    precisions = dict.fromkeys(str(run.built.model.floats) for run in comparison.runs)
    return Timings(
        device=device.type,
        hardware=hardware(device),
        threads=torch.get_num_threads(),
        torch=str(torch.__version__),
        precision=", ".join(each.removeprefix("torch.") for each in precisions),
        inputs=len(texts),
        batch_size=options.batch_size,
        warm_ups=options.warm_ups,
        repeats=options.repeats,
        systems=systems,
    )


def take_times(
    systems: Mapping[str, Callable[[], Decoded]],
    options: SpeedOptions,
    announce: Callable[[str], object],
    clock: Callable[[], float],
) -> dict[str, tuple[Seconds, Decoded]]:
    """For each label the seconds of decoding once, over `repeats` rounds, and what was decoded. A
    system decodes when it is called, and returns when all of it is done.

    Each round times every system once, so whatever slows the machine for a while slows all of them
    alike. Each begins with another one, since what is timed may suffer from what came before.
    The first `warm_ups` rounds are not measured; without `repeats` nothing is done. `announce` is
    called with each label before its turn.
    """
    seconds: dict[str, list[float]] = {label: [] for label in systems}
    decoded = {}
    labels = list(systems)
    rounds = options.warm_ups + options.repeats if options.repeats else 0
    with _no_old_garbage():
        for turn in range(rounds):
            first = turn % len(labels) if labels else 0
            for label in labels[first:] + labels[:first]:
                announce(label)
                begun = clock()
                decoded[label] = systems[label]()
                took = clock() - begun
                if turn >= options.warm_ups:
                    seconds[label].append(took)
    return {
        label: (Seconds(min=min(taken), median=median(taken), max=max(taken)), decoded[label])
        for label, taken in seconds.items()
        if taken
    }


@contextmanager
def _no_old_garbage() -> Iterator[None]:
    """A context in which Python looks for garbage among new objects only: a look at all older ones
    takes longer than many a decoding, and would fall on one of them by chance."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


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
