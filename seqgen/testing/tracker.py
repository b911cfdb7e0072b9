"""The laws of trackers, and `check_tracker`, which shows them short runs in their own folders."""

from __future__ import annotations

import io
import os
import random
import signal
import sys
import tempfile
import threading
from base64 import b64decode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from seqgen.testing import require
from seqgen.testing.laws import Law, Report, Watch, try_laws, unwatched
from seqgen.testing.require import BUILT, small_part
from seqgen.trackers import Tracker, left_as_it_was, trackers

OPTIONS = {"model.name": "language_model", "train.lr": 0.01, "train.max_seconds": None}
OPTIONS |= {"metrics": [{"name": "bleu"}], "samples.temperatures": [0, 0.8], "seed": 1}
SCALARS = {"train/loss": 2.5, "train/tokens": 640, "valid/metrics/bleu": 0.0}
TEXTS = ["", "ROMEO:\nWho is it?", "<b>*x*</b> \0\x1b[1m \u202e é😀\u2028", "x" * 20_000]
HARD = {"train/loss": 1e300, "train/gradient_norm": -0.0, "valid/a-b.c_d/e": 5e-324}
PICTURE = b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAIAAAABCAIAAAB7QOjdAAAADUlEQVR42mP4zwAE/wEHAAH/PX2MSQAAAABJRU5ErkJggg=="
)
"""A PNG file of two pixels."""


@dataclass(frozen=True)
class TrackerCase:
    """How to build the tracker."""

    factory: Callable[..., Any]

    def make(self) -> Tracker:
        """The tracker, which has begun nothing."""
        made: Tracker = self.factory()
        return made

    def begun(self, folder: Path) -> Tracker:
        """One that has begun with the run that has that folder, or goes on with it."""
        own = folder / "trackers" / "own"
        own.mkdir(parents=True, exist_ok=True)
        made = self.make()
        with left_as_it_was():
            made.begin(folder.name, own, dict(OPTIONS))
        return made

    def follow(self, folder: Path, first: int = 0) -> None:
        """Show it a run from the step `first` to its end."""
        made, picture = self.begun(folder), folder / "loss.png"
        picture.write_bytes(PICTURE)
        made.log(first, dict(SCALARS))
        made.samples(first, TEXTS[:2])
        made.log(first + 3, dict(SCALARS))
        made.log(first + 3, {"valid/criterion": 2.0})
        made.figure(first + 3, picture)
        made.end({"test/perplexity": 7.5, "parameters": 1000})


HANDLED = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def _folder() -> Iterator[Path]:
    """A folder for a run, after which the current folder and signals are as they were."""
    here, handlers = Path.cwd(), [signal.getsignal(each) for each in HANDLED]
    with tempfile.TemporaryDirectory(prefix="seqgen-tracker-") as folder:
        try:
            yield Path(folder, "a run")
        finally:
            os.chdir(here)
            for number, handler in zip(HANDLED, handlers, strict=True):
                if signal.getsignal(number) != handler:
                    signal.signal(number, handler)


def check_tracker(tracker: object, *, watch: Watch = unwatched, **options: Any) -> Report:
    """Try the laws on a tracker: a registered name, a mapping, a class or another callable."""
    name, factory = small_part(trackers, tracker, options)
    return try_laws(name, TRACKER_LAWS, TrackerCase(factory), watch)


def _is_a_tracker(case: TrackerCase) -> None:
    require.contract(case.make(), Tracker)


def _whole_run(case: TrackerCase) -> None:
    with _folder() as folder:
        case.follow(folder)


def _anything(case: TrackerCase) -> None:
    with _folder() as folder:
        made = case.begun(folder)
        made.log(0, dict(HARD))
        for texts in ([], TEXTS):
            made.samples(0, [*texts])
        made.end({})


def _leaves_as_it_is(case: TrackerCase) -> None:
    with _folder() as folder:
        made, picture = case.begun(folder), folder / "loss.png"
        picture.write_bytes(PICTURE)
        given: list[Any] = [dict(SCALARS), [*TEXTS], {"test/perplexity": 7.5}]
        before = deepcopy(given)
        made.log(1, given[0])
        made.samples(1, given[1])
        made.figure(1, picture)
        made.end(given[2])
        says = "it changes what it was given, which others get after it: make a copy"
        require.that(given == before, says)
        says = "it moves or changes the picture, which is a file of the run: make a copy"
        require.that(picture.exists() and picture.read_bytes() == PICTURE, says)


def _goes_on(case: TrackerCase) -> None:
    with _folder() as folder:
        case.begun(folder).end(None)
        made = case.begun(folder)
        made.log(3, dict(SCALARS))
        made.end(None)
        case.follow(folder, 6)


def _one_after_another(case: TrackerCase) -> None:
    with _folder() as folder:
        case.follow(folder / "one")
        case.follow(folder / "two")


def _program() -> Mapping[str, Any]:
    return {
        "Python's random numbers": random.getstate(),
        "NumPy's random numbers": str(np.random.get_state()),
        "torch's random numbers": torch.get_rng_state().tolist(),
        "the number of torch's threads": torch.get_num_threads(),
        "the current folder": Path.cwd(),
        "the handlers of signals": [signal.getsignal(each) for each in HANDLED],
        "the standard streams": [sys.stdout, sys.stderr],
    }


def _lasting_threads() -> set[threading.Thread]:
    return {each for each in threading.enumerate() if not each.daemon}


def _program_as_it_was(case: TrackerCase) -> None:
    with _folder() as folder:
        before, waiting = _program(), _lasting_threads()
        case.follow(folder)
        after, left = _program(), _lasting_threads() - waiting
    changed = [name for name, value in before.items() if after[name] != value]
    says = f"it changes {', '.join(changed)}: training would not be what it is without it"
    require.that(not changed, says)
    says = "a thread of its own keeps the program from ending: join it in `end`"
    require.that(not left, says)


def _silent(case: TrackerCase) -> None:
    with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
        _whole_run(case)
    said = " ".join((out.getvalue() + err.getvalue()).split())
    require.that(not said, f"it prints, where the progress of the run is shown: {said[:60]!r}")


_SOUND = ("is a tracker", "it takes a run from its beginning to its end")
_CALLING = "`begin`, `log`, `samples`, `figure` and `end` must work for any run, in that order"

TRACKER_LAWS: tuple[Law[TrackerCase], ...] = (
    Law(_SOUND[0], _is_a_tracker, BUILT.format("nothing")),
    Law(_SOUND[1], _whole_run, _CALLING, _SOUND[:1]),
    Law("it takes any text and number", _anything, _CALLING, _SOUND),
    Law("what it is given is left as it is", _leaves_as_it_is, _CALLING, _SOUND),
    Law(
        "a run that stops may go on",
        _goes_on,
        "`end(None)` may come at any time, and `begin` again with the folder as it was left",
        _SOUND,
    ),
    Law("one run after another", _one_after_another, "what belongs to a run begins anew", _SOUND),
    Law("the program is as it was", _program_as_it_was, _CALLING, _SOUND),
    Law("it prints nothing", _silent, _CALLING, _SOUND),
)
