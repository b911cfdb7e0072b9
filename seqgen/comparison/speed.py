"""Speed: what each system of a comparison takes of time and memory, and makes the model do."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import count
from typing import Any, NamedTuple

import torch

from seqgen.answers import Wanted, outputs, spread
from seqgen.comparison.contest import Contest, Progress
from seqgen.comparison.memory import peak_bytes
from seqgen.comparison.plan import Plan
from seqgen.comparison.timing import Decoded, take_times
from seqgen.decoders import Decoder, watched
from seqgen.decoders.tracing import Counting
from seqgen.machine import finish_work, hardware
from seqgen.trained import TrainedRun


def measure_speed(contest: Contest, texts: Sequence[str], plan: Plan) -> dict[str, Any] | None:
    """The part `timings` of a comparison, for as many of the `texts` as the plan says, evenly
    spread; None where the plan has no repeats.

    Unlike all else it is in the precision that the runs have themselves, and in batches of the
    plan's own size. Calls, rows and peak memory are those of one more decoding, by the first seed,
    when all is warm.
    """
    options = plan.speed
    texts = spread(texts, options.inputs)
    if not options.repeats or not texts:
        return None
    entrants = {
        system.label: Entrant(
            contest.runs[system.run],
            contest.runs[system.run].decoder(dict(system.spec), plan.seed),
            Wanted(options.batch_size, plan.max_length, plan.samples if system.draws else 1),
            plan.samples,
        )
        for system in contest.systems
    }
    done = count()
    total = (options.warm_ups + options.repeats + 1) * len(entrants)

    def announce(what: str, label: str) -> None:
        contest.watch(Progress(next(done), total, f"{what} of {label}"))

    decodes = {label: partial(each.decode, texts) for label, each in entrants.items()}
    found = take_times(decodes, options, partial(announce, "speed"))
    for label, each in entrants.items():
        announce("memory", label)
        found[label].update(each.cost(texts))
    head = _machine(contest.runs)
    return {**head, **vars(options), "inputs": len(texts), "systems": found}


class Entrant(NamedTuple):
    """Who is measured: a run and a decoder, what is wanted of them for each text, and how many
    outputs of what is found are used."""

    run: TrainedRun
    decoder: Decoder
    wanted: Wanted
    used: int

    def decode(self, texts: Sequence[str], counting: Counting | None = None) -> Decoded:
        """Decode once; to be timed, so it returns when the device has finished."""
        decoder = self.decoder if counting is None else watched(self.decoder, counting)
        found = outputs(self.run.built.generator(), decoder, texts, self.wanted)
        finish_work(self.run.built.device)
        every = [each for own in found for each in own[: self.used]]
        return Decoded(len(every), sum(len(each.hypothesis.tokens) for each in every))

    def cost(self, texts: Sequence[str]) -> dict[str, int]:
        """The model's `calls`, the `rows` that it read, and the peak of memory, in one decoding."""
        counting = Counting()
        peak = peak_bytes(partial(self.decode, texts, counting), self.run.built.device)
        return {"calls": counting.calls, "rows": counting.rows, "peak_bytes": peak}


def _machine(runs: Sequence[TrainedRun]) -> dict[str, Any]:
    """What the figures depend on besides the plan."""
    device = runs[0].built.device
    precisions = {str(run.built.model.floats).removeprefix("torch."): None for run in runs}
    return {
        "device": device.type,
        "hardware": hardware(device),
        "threads": torch.get_num_threads(),
        "torch": str(torch.__version__),
        "precision": ", ".join(precisions),
    }
