"""Sweeps: the same recipe with other values of some keys, each a run of its own, a *trial*.

A sweep is a folder: `trial-0000`, `trial-0001`, ... are run directories, and `sweep.json` says what
became of each. It is read and written under a lock, and whoever works on a trial holds the trial's
lock, so any number of processes, on any number of machines that share the folder, work on one
sweep; a trial that a killed process left is taken up where its last checkpoint is.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Any, Final, Literal

from filelock import FileLock, Timeout

from seqgen.config import ConfigFile, find_file, read_override
from seqgen.errors import CheckpointError, SeqgenError, SetupError, StoppedError, UsageError
from seqgen.files import check_unoccupied, read_mapping, write_file
from seqgen.options import check_options, for_json, options_of
from seqgen.run import RunRequest, load_recipe, run
from seqgen.run_directory import RunDirectory
from seqgen.sweeps.optuna_search import Prune, load_optuna, suggested
from seqgen.sweeps.trials import Axis, Outcome, Range, Status, Trial, shown
from seqgen.training import Event, Sink, read_events

Search = Literal["grid", "optuna"]

FILE: Final = "sweep.json"
FORMAT: Final = 1
MOST: Final = 1000
"""The most trials of a grid: a few keys with a few values each soon make more."""
USUAL_TRIALS: Final = 20
"""How many a search makes if nobody says."""


class _Pruned(BaseException):
    """No Exception: what guards a run against the faults of who watches must let it pass."""


@dataclass
class Sweep:
    """What a person asks for: a recipe with overrides, the axes, and the folder.

    A grid tries all combinations. The search `optuna` makes `trials` of them in all, by the
    tree-structured Parzen estimator (Bergstra et al. 2011), and ends those early whose validation
    is worse than the median of the others at the same validation.
    """

    recipe: str
    overrides: Sequence[str]
    axes: Mapping[str, Axis]
    folder: Path
    search: Search = "grid"
    trials: int = USUAL_TRIALS
    plugins: Sequence[str | Path] = ()
    command: Sequence[str] = ()
    report: bool = True
    """Whether each trial writes a report, which takes most of the time of a tiny run."""
    _tried: set[int] = field(default_factory=set)

    def check(self) -> None:
        """Raises RecipeError, with the place, if a trial's recipe is wrong (of a search the first
        value of each key is tried), and UsageError or SetupError if this cannot be done at all."""
        for key, axis in self.axes.items():
            if isinstance(axis, Range) and self.search == "grid":
                example = f"{shown(axis.low)},{shown(axis.high)}"
                raise UsageError(
                    f"--set {key}: a range needs --search optuna; a grid needs values: {example}"
                )
        if self.search == "optuna":
            load_optuna()
        for settings in self._points():
            own = [read_override(each, "--set") for each in Trial(0, settings).overrides()]
            load_recipe(self.recipe, [*self.overrides, *own], self.plugins)

    def run(
        self, began: Callable[[Trial], None], ended: Callable[[Trial], None], watch: Sink
    ) -> Outcome:
        """Run trials until there are none left; `began` and `ended` are told of each, and `watch`
        of its events. A trial that fails is recorded, and the others go on.

        Raises CheckpointError if the folder has another sweep, SetupError if it cannot be written,
        StoppedError on a signal.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if any(not each.name.startswith(".") for each in self.folder.iterdir()):
                ours = (self.folder / FILE).is_file()
                check_unoccupied(self.folder, "sweep", (), ours=ours)
        except OSError as error:
            raise SetupError(f"{self.folder}: cannot be written: {error.strerror}") from None
        while (taken := self._take()) is not None:
            trial, prune, lock = taken
            with lock:
                began(trial)
                done = self._finish(trial, prune, watch)
                with self._state() as trials:
                    trials[trial.number] = done
            ended(done)
        with self._state() as trials:
            return Outcome(self.criterion, tuple(trials.values()))

    @cached_property
    def criterion(self) -> str:
        """The name of the figure or metric by which trials are compared."""
        settings = next(iter(self._points()))
        recipe, _ = load_recipe(self.recipe, self._with(Trial(0, settings)), self.plugins)
        return recipe.evaluation.criterion

    def _points(self) -> list[dict[str, Any]]:
        """The combinations of a grid; of a search that of the first values."""
        values = [(each.low,) if isinstance(each, Range) else each for each in self.axes.values()]
        if self.search == "optuna":
            values = [each[:1] for each in values]
        if (count := math.prod(map(len, values))) > MOST:
            raise UsageError(
                f"--set: there may be at most {MOST:,} trials, but these are {count:,}"
            )
        return [dict(zip(self.axes, each, strict=True)) for each in product(*values)]

    def _with(self, trial: Trial) -> list[str]:
        return [*self.overrides, *trial.overrides()]

    def _take(self) -> tuple[Trial, Prune, FileLock] | None:
        """The next trial that nobody works on, with its lock held; None if there is none left."""
        with self._state() as trials:
            for trial in trials.values():
                again = trial.status == "failed" and trial.number not in self._tried
                lock = self._lock(trial) if trial.status == "running" or again else None
                if lock is not None:
                    self._tried.add(trial.number)
                    trials[trial.number] = replace(trial, status="running")
                    return trial, self._continued(trial, trials), lock
            number = max(trials, default=-1) + 1
            if self.search == "optuna":
                if len(trials) >= self.trials:
                    return None
                settings, prune = suggested(self.axes, [*trials.values()], self._seed + number)
            else:
                known = [each.settings for each in trials.values()]
                new = [each for each in self._points() if each not in known]
                if not new:
                    return None
                settings, prune = new[0], _never
            trial = trials[number] = Trial(number, settings)
            self._tried.add(number)
            lock = self._lock(trial)
            assert lock is not None  # nobody knows of it yet
            return trial, prune, lock

    def _continued(self, trial: Trial, trials: Mapping[int, Trial]) -> Prune:
        if self.search == "grid":
            return _never
        others = [each for each in trials.values() if each.number != trial.number]
        return suggested(self.axes, others, self._seed, trial.settings)[1]

    def _lock(self, trial: Trial) -> FileLock | None:
        """The lock of a trial, held; None if another process holds it."""
        lock = FileLock(self.folder / f".{trial.name}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            return None
        return lock

    def _finish(self, trial: Trial, prune: Prune, watch: Sink) -> Trial:
        """Run a trial, or go on with it, to its end."""
        folder = self.folder / trial.name
        request = RunRequest(
            self.recipe,
            self._with(trial),
            folder,
            resume=RunDirectory(folder).exists(),
            command=self.command,
            plugins=self.plugins,
            report=self.report,
        )

        def look(event: Event) -> None:
            watch(event)
            if event["event"] == "valid" and prune(_validations(folder, self.criterion)[0]):
                raise _Pruned

        status: Status = "finished"
        reason = ""
        try:
            run(request, lambda plan: None, [look])
        except _Pruned:
            status = "pruned"
        except StoppedError as error:
            again = "the same command goes on with the sweep"
            raise StoppedError(f"{folder}: {error}; {again}", error.signal_number) from None
        except Exception as error:  # whatever it is, the others go on
            kind = "" if isinstance(error, SeqgenError) else f"{type(error).__name__}: "
            status, reason = "failed", f"{kind}{' '.join(str(error).split())}"
        criteria, figures = _validations(folder, self.criterion)
        best = min((each for each in criteria if each is not None), default=None)
        at = criteria.index(best) if best is not None else None
        return replace(
            trial,
            status=status,
            value=best,
            figure=None if at is None else figures[at],
            validations=tuple(criteria),
            reason=reason,
        )

    @cached_property
    def _base(self) -> Any:
        """What all trials have in common, before it is checked."""
        return ConfigFile.read(find_file(self.recipe), self.overrides).data

    @property
    def _seed(self) -> int:
        seed = self._base.get("seed", 1)
        return seed if isinstance(seed, int) else 1

    @contextmanager
    def _state(self) -> Iterator[dict[int, Trial]]:
        """The trials so far, which others leave alone meanwhile; what is changed is written.

        Raises CheckpointError if the folder has another sweep.
        """
        path = self.folder / FILE
        own = {"format": FORMAT, "recipe": self._base, "keys": sorted(self.axes)}
        own = json.loads(json.dumps(for_json(own)))
        with FileLock(self.folder / ".lock"):
            trials: dict[int, Trial] = {}
            if path.exists():
                saved = read_mapping(path)
                for key, value in own.items():
                    if saved.get(key) != value:
                        raise CheckpointError(
                            f"{self.folder}: has a sweep with another `{key}`; choose another --out"
                        )
                trials = {each.number: each for each in map(_read_trial, saved.get("trials", ()))}
            before = dict(trials)
            yield trials
            if trials != before:
                rows = [asdict(each) for each in trials.values()]
                content = {**own, "criterion": self.criterion, "trials": rows}
                write_file(path, json.dumps(for_json(content), indent=2) + "\n")


def _read_trial(row: Any) -> Trial:
    try:
        return Trial(**check_options(options_of(Trial), row, ("trials",), "a trial"))
    except ValueError as error:
        raise CheckpointError(f"{FILE}: damaged: {error}") from None


def _never(validations: Sequence[float | None]) -> bool:
    return False


def _validations(folder: Path, name: str) -> tuple[list[float | None], list[float | None]]:
    """The criteria of the validations of a run, and the figures or metrics `name` in them."""
    events = [each for each in read_events(folder / "metrics.jsonl") if each["event"] == "valid"]
    figures = [{**each, **each.get("metrics", {})}.get(name) for each in events]
    return [each["criterion"] for each in events], figures
