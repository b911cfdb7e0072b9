"""The proof that stopping changes nothing: a run without a stop against the same run with stops.

Each part of the stopped run has its own process, which a signal ends as Ctrl-C would.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import load_file

from seqgen.errors import PluginError, SeqgenError
from seqgen.files import read_json
from seqgen.machine import keep_freed_memory
from seqgen.run import RunRequest, run
from seqgen.training import STATE, TENSORS, WEIGHTS, Checkpoints, read_events

TIMES = {"seconds", "recent_seconds", "tokens_per_second"}
"""What the clock decides."""

STEPS = 10
"""The length of the runs, unless more is asked for or the end of an epoch is near."""

NEAR = 100
"""If an epoch has at most so many steps, the runs go beyond its end."""


class Comparison(NamedTuple):
    """What was compared, such as `log`, how much of it there is, and the difference, if any."""

    what: str
    size: str
    difference: str = ""


@dataclass(frozen=True)
class Proof:
    """The comparison of a run of `steps` steps and one that was stopped after each of `stops`; an
    epoch has `epoch` steps."""

    steps: int
    stops: tuple[int, ...]
    epoch: int
    compared: tuple[Comparison, ...]

    @property
    def first(self) -> Comparison | None:
        """The first difference; None if there is none."""
        return next((each for each in self.compared if each.difference), None)


@dataclass(frozen=True)
class Part:
    """What a process does: a run up to the step after which it is stopped, or to its end."""

    recipe: str
    overrides: tuple[str, ...]
    out: str
    stop: int | None = None
    resume: bool = False


class Ended(NamedTuple):
    """How a process ended: its exit code and standard error."""

    code: int
    said: str


def verify_resume(
    recipe: str,
    overrides: Sequence[str] = (),
    at: Sequence[int] = (),
    watch: Callable[[str], None] = lambda doing: None,
    launch: Callable[[Part], Ended] | None = None,
) -> Proof:
    """Run a recipe without a stop, and stopped after each step of `at`; compare what they leave.

    The budget is replaced by a few steps; without `at` the stops are where faults are likely.
    `watch` is called with what is being done; `launch` does a part in another process, by default a
    new one. Raises what the run itself raises, and PluginError if it cannot go on.
    """
    launch = launch or in_a_process
    with tempfile.TemporaryDirectory(prefix="seqgen-verify-") as folder:
        steps, whole = max(at) + 2 if at else STEPS, Path(folder, "whole", "run")
        watch(f"{steps} steps as a whole")
        _check(launch(Part(recipe, _shortened(overrides, steps), str(whole))))
        epoch = int(read_json(whole / "manifest.json")["steps_per_epoch"])
        if not at and steps - 2 < epoch <= NEAR:
            steps, whole = epoch + 4, Path(folder, "longer", "run")
            watch(f"{steps} steps as a whole, since an epoch has {epoch}")
            _check(launch(Part(recipe, _shortened(overrides, steps), str(whole))))
        # Likely faults: the first step, a validation, between two of them, the end of an epoch.
        between = _validate_every(steps)
        likely = {1, between, between + 2, epoch, epoch + 1}
        stops = tuple(sorted(set(at) or {step for step in likely if step < steps}))
        stopped, ours = Path(folder, "stopped", "run"), _shortened(overrides, steps)
        for before, stop in zip((None, *stops), (*stops, None), strict=True):
            watch(f"to step {stop}, and stop" if stop else f"on from step {before} to the end")
            try:
                part = Part(recipe, ours, str(stopped), stop, resume=before is not None)
                _check(launch(part), 0 if stop is None else 128 + signal.SIGINT)
            except SeqgenError as error:
                if before is None:
                    raise
                message = f"a run that was stopped after step {before} does not go on: {error}"
                raise PluginError(message) from None
        return Proof(steps, stops, epoch, tuple(compare(whole, stopped)))


def _shortened(overrides: Sequence[str], steps: int) -> tuple[str, ...]:
    """The overrides, and after them those for so many steps, each of which is logged."""
    budget = [f"train.max_steps={steps}", "train.max_epochs=null", "train.max_seconds=null"]
    often = [f"train.validate_every={_validate_every(steps)}", "train.log_every=1"]
    return (*overrides, *budget, *often, "train.patience=null", "trackers=[]")


def _validate_every(steps: int) -> int:
    return max(1, steps * 2 // 5)


def in_a_process(part: Part) -> Ended:
    """Do a part of a run in a new process."""
    # Another order of sets in each: a run must not depend on it.
    seed = str(1 + (part.stop or 0)) if part.resume or part.stop else "0"
    search = [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    environment = {"PYTHONPATH": os.pathsep.join(filter(None, search)), "PYTHONHASHSEED": seed}
    # -P: files in the current folder are no modules, as they are none for `seqgen run`.
    done = subprocess.run(
        [sys.executable, "-P", "-m", "seqgen.verify", json.dumps(asdict(part))],
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        check=False,
    )
    return Ended(done.returncode, done.stderr.decode(errors="replace"))


def _check(ended: Ended, wanted: int = 0) -> None:
    """Raises the error that ended a process, unless it ended as wanted."""
    if ended.code == wanted:
        return
    said = ended.said.strip()
    for kind in SeqgenError.__subclasses__():
        if getattr(kind, "exit_code", None) == ended.code:
            raise kind(said.split("\n")[-1])
    raise RuntimeError(f"the run ended with exit code {ended.code}: {said}")


def work(part: Part) -> None:
    """What such a process does; it ends with the exit code that `seqgen run` would."""

    def stop(event: dict[str, Any]) -> None:
        if event["event"] == "train" and event["step"] == part.stop:
            os.kill(os.getpid(), signal.SIGINT)

    keep_freed_memory()
    out = Path(part.out)
    request = RunRequest(part.recipe, part.overrides, out, resume=part.resume, report=False)
    try:
        run(request, lambda plan: None, [stop])
    except SeqgenError as error:
        print(error, file=sys.stderr)  # noqa: T201
        sys.exit(error.exit_code)


def compare(whole: Path, stopped: Path) -> Iterator[Comparison]:
    """Compare what two run directories hold, timings left out."""
    logs = [_timeless(read_events(folder / "metrics.jsonl")) for folder in (whole, stopped)]
    difference = ""
    for a, b in zip_longest(*logs, fillvalue={}):
        if difference := _difference(a, b):
            event = a or b
            difference = f"step {event.get('step')} ({event.get('event')}): {difference}"
            break
    yield Comparison("log", f"{len(logs[0])} events", difference)
    one, other = _contents(whole), _contents(stopped)
    for what in dict.fromkeys([*one, *other]):
        if what in one and what in other:
            unit, content = one[what]
            yield Comparison(what, f"{len(content)} {unit}", _difference(content, other[what][1]))
        else:
            yield Comparison(what, "none", "only one run has it")


def _contents(folder: Path) -> dict[str, tuple[str, Any]]:
    """What a run directory holds besides its log, and the unit in which it is counted."""
    contents: dict[str, tuple[str, Any]] = {}
    for pointer in ("best", "last"):
        if checkpoint := Checkpoints(folder / "checkpoints").find(pointer):
            state = {"checkpoint": checkpoint.name, **_timeless(read_json(checkpoint / STATE))}
            contents[f"{pointer}: counters"] = ("entries", state)
            contents[f"{pointer}: weights"] = ("tensors", load_file(checkpoint / WEIGHTS))
            what = f"{pointer}: optimizer, states, random numbers"
            contents[what] = ("tensors", load_file(checkpoint / TENSORS))
    for name in ("samples.json", "answers.json", "attention.json", "result.json"):
        if (folder / name).exists():
            contents[name] = ("entries", _timeless(read_json(folder / name)))
    paths = sorted(each for each in (folder / "tokenizer").rglob("*") if each.is_file())
    files = {str(each.relative_to(folder)): each.read_bytes() for each in paths}
    return {**contents, "tokenizer": ("files", files)}


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _timeless(each) for key, each in value.items() if key not in TIMES}
    return [_timeless(each) for each in value] if isinstance(value, list) else value


def _difference(one: Any, other: Any, path: str = "") -> str:
    """The first place where two contents differ, and how; empty if they are equal."""
    if isinstance(one, dict) and isinstance(other, dict):
        pairs = [(key, one.get(key), other.get(key)) for key in dict.fromkeys([*one, *other])]
    elif isinstance(one, list) and isinstance(other, list):
        pairs = [(index, a, b) for index, (a, b) in enumerate(zip_longest(one, other))]
    elif isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        if one.shape != other.shape or one.dtype != other.dtype:
            kinds = [f"{each.dtype} {list(each.shape)}" for each in (one, other)]
            return f"{path} is {kinds[0]} and {kinds[1]}"
        # As bytes, NaN equals NaN and 0 differs from -0.
        same = torch.equal(*(each.flatten().view(torch.uint8) for each in (one, other)))
        return "" if same else f"{path} by up to {(one.double() - other.double()).abs().max():.2g}"
    else:
        # As JSON, NaN equals NaN.
        same = one == other or json.dumps(one, default=repr) == json.dumps(other, default=repr)
        return "" if same else f"{path or 'it'} is {_short(one)} and {_short(other)}"
    each = (_difference(a, b, f"{path}.{key}" if path else str(key)) for key, a, b in pairs)
    return next(filter(None, each), "")


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


if __name__ == "__main__":
    work(Part(**json.loads(sys.argv[1])))
