"""The proof that stopping changes nothing: a run as a whole, the same run stopped and resumed, and
what of the two differs.

Each part of the stopped run has a process of its own, which a signal ends, as Ctrl-C would.
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
from seqgen.training import STATE, TENSORS, WEIGHTS, Checkpoints

TIMES = {"seconds", "recent_seconds", "tokens_per_second"}
"""What a clock decides."""

STEPS = 10
"""How long the runs are if nothing else is asked and the end of an epoch is not near."""

NEAR = 100
"""Up to so many steps of an epoch, the runs go beyond its end."""


class Comparison(NamedTuple):
    """Something of both runs, such as `log`, how much of it there is, and how it differs if so."""

    what: str
    size: str
    difference: str = ""


@dataclass(frozen=True)
class Proof:
    """What was compared of a run of `steps` steps and one that was stopped after each of `stops`;
    an epoch has `epoch` steps."""

    steps: int
    stops: tuple[int, ...]
    epoch: int
    compared: tuple[Comparison, ...]

    @property
    def first(self) -> Comparison | None:
        """What differs first; None where all is the same."""
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
    """How a process ended: its exit code, and what stood on its standard error."""

    code: int
    said: str


def verify_resume(
    recipe: str,
    overrides: Sequence[str] = (),
    at: Sequence[int] = (),
    watch: Callable[[str], None] = lambda doing: None,
    launch: Callable[[Part], Ended] | None = None,
) -> Proof:
    """Run a recipe as a whole, and stopped after each step of `at`; compare what the two leave.

    The budget is replaced by a few steps; without `at` the stops are where faults are likely.
    `watch` is told what is being done; `launch` does a part in another process, a new one without
    it. Raises what the run itself raises, and PluginError if it cannot go on.
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
        stops = tuple(sorted(set(at))) or _likely(steps, epoch)
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
    """The overrides, and behind them those of a run of so many steps that logs each of them."""
    budget = [f"train.max_steps={steps}", "train.max_epochs=null", "train.max_seconds=null"]
    often = [f"train.validate_every={_between(steps)}", "train.log_every=1", "train.patience=null"]
    return (*overrides, *budget, *often)


def _between(steps: int) -> int:
    """How many steps are between two validations."""
    return max(1, steps * 2 // 5)


def _likely(steps: int, epoch: int) -> tuple[int, ...]:
    """The first step, a validation, between two of them, and around the end of an epoch."""
    between = _between(steps)
    wanted = {1, between, between + 2, epoch, epoch + 1}
    return tuple(sorted(step for step in wanted if step < steps))


def in_a_process(part: Part) -> Ended:
    """Do a part of a run in a new process."""
    # Another order of sets in each: a run must not depend on it.
    seed = str(1 + (part.stop or 0)) if part.resume or part.stop else "0"
    search = [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    environment = {"PYTHONPATH": os.pathsep.join(filter(None, search)), "PYTHONHASHSEED": seed}
    # -P: what lies in the current folder is no module, as it is none for `seqgen run`.
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
    """Raises what ended a process, unless it was what is wanted."""
    if ended.code == wanted:
        return
    said = ended.said.strip()
    for kind in SeqgenError.__subclasses__():
        if getattr(kind, "exit_code", None) == ended.code:
            raise kind(said.split("\n")[-1])
    raise RuntimeError(f"the run ended with exit code {ended.code}: {said}")


def work(part: Part) -> None:
    """What such a process does; it ends with the code that `seqgen run` would."""

    def stop(event: dict[str, Any]) -> None:
        if event["event"] == "train" and event["step"] == part.stop:
            os.kill(os.getpid(), signal.SIGINT)

    keep_freed_memory()
    asked = RunRequest(part.recipe, part.overrides, Path(part.out), resume=part.resume)
    try:
        run(asked, lambda plan: None, [stop])
    except SeqgenError as error:
        print(error, file=sys.stderr)  # noqa: T201
        sys.exit(error.exit_code)


def compare(whole: Path, stopped: Path) -> Iterator[Comparison]:
    """What two run directories hold, in the order in which it came about; timings are left out."""
    logs = [_events(folder / "metrics.jsonl") for folder in (whole, stopped)]
    yield Comparison("log", f"{len(logs[0])} events", _differing_events(*logs))
    for pointer in ("best", "last"):
        one, other = (Checkpoints(each / "checkpoints").find(pointer) for each in (whole, stopped))
        if one is None or other is None:
            here = [each is None for each in (one, other)]
            yield Comparison(pointer, "none", "" if all(here) else "only one run has it")
            continue
        step = "" if one.name == other.name else f"{one.name} and {other.name}; "
        for name, what in ((WEIGHTS, "weights"), (TENSORS, "optimizer, states, random numbers")):
            tensors = load_file(one / name), load_file(other / name)
            found = _differing_tensors(*tensors)
            size = f"{len(tensors[0])} tensors"
            yield Comparison(f"{pointer}: {what}", size, found and f"{step}{found}")
        states = [_timeless(read_json(folder / STATE)) for folder in (one, other)]
        yield Comparison(f"{pointer}: counters", f"{len(states[0])}", _differing(*states))
    names = ("samples.json", "answers.json", "attention.json", "result.json")
    for name in names:
        if (whole / name).exists() or (stopped / name).exists():
            records = [_timeless(read_json(folder / name)) for folder in (whole, stopped)]
            yield Comparison(name, f"{len(records[0])} entries", _differing(*records))
    files: list[Any] = [_contents(folder / "tokenizer") for folder in (whole, stopped)]
    yield Comparison("tokenizer", f"{len(files[0])} files", _differing(*files))


def _events(path: Path) -> list[Any]:
    lines = path.read_text(encoding="utf-8").split("\n")[:-1]
    return [_timeless(json.loads(line)) for line in lines]


def _differing_events(one: Sequence[Any], other: Sequence[Any]) -> str:
    pairs: Iterator[tuple[Any, Any]] = zip_longest(one, other, fillvalue={})
    for a, b in pairs:
        if found := _differing(a, b):
            event = a or b
            return f"step {event.get('step')} ({event.get('event')}): {found}"
    return ""


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _timeless(each) for key, each in value.items() if key not in TIMES}
    return [_timeless(each) for each in value] if isinstance(value, list) else value


def _differing(one: Any, other: Any, path: str = "") -> str:
    """The first place where two values of JSON differ, and how; nothing where they do not."""
    if isinstance(one, dict) and isinstance(other, dict):
        keys: Sequence[Any] = list(dict.fromkeys([*one, *other]))
        pairs = [(key, one.get(key), other.get(key)) for key in keys]
    elif isinstance(one, list) and isinstance(other, list):
        pairs = [(at, a, b) for at, (a, b) in enumerate(zip_longest(one, other))]
    else:
        # NaN is the same as NaN here.
        same = one == other or json.dumps(one, default=repr) == json.dumps(other, default=repr)
        return "" if same else f"{path or 'it'} is {_short(one)} and {_short(other)}"
    each = (_differing(a, b, f"{path}.{key}" if path else str(key)) for key, a, b in pairs)
    return next(filter(None, each), "")


def _differing_tensors(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> str:
    for name in dict.fromkeys([*one, *other]):
        if name not in one or name not in other:
            return f"{name} is in one run only"
        a, b = one[name], other[name]
        if a.shape != b.shape or a.dtype != b.dtype:
            return f"{name} is {a.dtype} {list(a.shape)} and {b.dtype} {list(b.shape)}"
        # Bytes, so that NaN is like NaN and 0 unlike -0.
        if not torch.equal(*(each.flatten().view(torch.uint8) for each in (a, b))):
            largest = float((a.double() - b.double()).abs().max())
            return f"{name} by up to {largest:.2g}"
    return ""


def _contents(folder: Path) -> dict[str, bytes]:
    files = sorted(each for each in folder.rglob("*") if each.is_file())
    return {str(each.relative_to(folder)): each.read_bytes() for each in files}


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


if __name__ == "__main__":
    work(Part(**json.loads(sys.argv[1])))
