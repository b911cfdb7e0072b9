"""Trackers, which show runs in a program of their own, beside others: TensorBoard and its like. To
add one: subclass `Tracker` and register it.

A tracker sees no run: it is called with names, numbers and texts, when a run logs and validates.
Its library is imported when a run begins, and what fails there or later costs that tracker only.
"""

from __future__ import annotations

import io
import json
import math
import os
import random
import sys
import time
import uuid
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from textwrap import indent
from typing import Annotated, Any, Literal

from seqgen.options import OptionError
from seqgen.registry import Part, Registry
from seqgen.training import Event, MetricsLog, cut_back, read_events

__all__ = ["Tracker", "trackers"]


class Tracker(ABC):
    """What a run is shown by. Whatever a method raises leaves the tracker out, not the run.

    `begin` comes first and `end` last, also where a run is stopped or fails; steps never decrease,
    but may be the same in several calls. Options are the tracker's own: a constructor imports and
    writes nothing.
    """

    @abstractmethod
    def begin(self, name: str, folder: Path, options: Mapping[str, Any]) -> None:
        """Begin with the run `name`, or go on with it where `folder` has what was kept there.

        `folder` is the tracker's own, inside the run directory, and exists. `options` are the
        hyperparameters, `model.cell.hidden_size` and the like: the whole recipe, in plain data.
        """

    @abstractmethod
    def log(self, step: int, scalars: Mapping[str, float]) -> None:
        """Show finite numbers by their names, such as `train/loss` or `valid/metrics/bleu`."""

    def samples(self, step: int, texts: Sequence[str]) -> None:  # noqa: B027  not all show texts
        """Show what the model writes after that many steps."""

    def figure(self, step: int, picture: Path) -> None:  # noqa: B027  nor pictures
        """Show the learning curves of the whole run, a PNG file."""

    @abstractmethod
    def end(self, result: Mapping[str, float] | None) -> None:
        """The run has the final figures `result`, `test/perplexity` and the like, and is over; or
        it stops without (None), and may go on some day. All is to be written by now."""


trackers: Registry[Tracker] = Registry("tracker")
TrackerFactory = Annotated[Callable[..., Tracker], trackers]


def by_name(parts: Iterable[Part[Tracker]]) -> dict[str, Tracker]:
    """The trackers that a recipe lists, built, in that order.

    Raises OptionError if a name comes twice: each has one folder.
    """
    built: dict[str, Tracker] = {}
    for part in parts:
        if part.name in built:
            raise OptionError(part.path, f"duplicate tracker '{part.name}'")
        built[part.name] = part()
    return built


class Tracking:
    """The trackers of a run, a sink for its events, and a context after which they have ended.

    A tracker that raises is left out from then on, with a warning. What trackers have got is noted
    in `folder`, so they get nothing twice when a run that was killed goes back to a checkpoint.
    """

    def __init__(self, built: Mapping[str, Tracker], folder: Path) -> None:
        self.folder = folder
        self._left = dict(built)
        self._result: Mapping[str, float] | None = None
        self._sent: set[tuple[str, int]] = set()
        self._notes: MetricsLog | None = None

    def begin(self, name: str, options: Mapping[str, Any]) -> list[str]:
        """Begin with all of them; what a person should know of those that are left out."""
        if not self._left:
            return []
        self.folder.mkdir(exist_ok=True)
        path = self.folder / SENT
        cut_back(path, sys.maxsize)  # only the end of a line that a kill has cut
        self._sent = {(each["event"], each["step"]) for each in read_events(path)}
        self._notes = MetricsLog(path)
        remarks = []
        for each in [*self._left]:
            own = self.folder / each
            with warnings.catch_warnings(record=True) as caught, left_as_it_was():
                warnings.simplefilter("always")
                self._call(each, partial(_begin, name=name, folder=own, options=options))
            remarks += [str(one.message) for one in caught if isinstance(one.message, LeftOut)]
        return remarks

    def __call__(self, event: Event) -> None:
        """Hand on what an event of training or validation says."""
        at = (event["event"], event["step"])
        if not self._left or self._notes is None or at in self._sent:
            return
        self._sent.add(at)
        self._notes({"event": at[0], "step": at[1]})
        kind, step = at
        known = {key: value for key, value in event.items() if key != "step"}
        if scalars := numbers(known, f"{kind}/"):
            self._call_all(lambda tracker: tracker.log(step, scalars))
        if texts := [shown(each) for each in event.get("samples", ())]:
            self._call_all(lambda tracker: tracker.samples(step, texts))

    def conclude(self, step: int, result: Event, texts: Sequence[str], picture: Path) -> None:
        """Hand on the end of a run: its figures and samples, and its picture if there is one."""
        self._result = numbers(result)
        self._call_all(lambda tracker: tracker.samples(step, texts))
        if picture.exists():
            self._call_all(lambda tracker: tracker.figure(step, picture))

    def __enter__(self) -> Tracking:
        return self

    def __exit__(self, *_: object) -> None:
        result = self._result
        self._call_all(lambda tracker: tracker.end(result))
        if self._notes is not None:
            self._notes.close()

    def _call_all(self, call: Callable[[Tracker], None]) -> None:
        for name in [*self._left]:
            self._call(name, call)

    def _call(self, name: str, call: Callable[[Tracker], None]) -> None:
        try:
            call(self._left[name])
        except Exception as error:  # of a library, a server, a plugin: training goes on
            del self._left[name]
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            if isinstance(error, ModuleNotFoundError):
                own = {"trackio": "trackio"}.get(name, "'seqgen-toolkit[track]'")
                reason = f"it needs {error.name}: pip install {own}"
            warnings.warn(LeftOut(f"tracker '{name}' is left out: {reason}"), stacklevel=2)


class LeftOut(UserWarning):
    """A tracker failed, and gets nothing any more."""


SENT = "sent.jsonl"
"""In the folder of all trackers: the events that they have got."""


def _begin(tracker: Tracker, name: str, folder: Path, options: Mapping[str, Any]) -> None:
    folder.mkdir(exist_ok=True)
    for each in folder.rglob("*"):
        if each.is_symlink():  # by a library, or by a stranger: nothing is written through it
            each.unlink()
    tracker.begin(name, folder, options)


@contextmanager
def left_as_it_was() -> Iterator[None]:
    """A context for libraries that change what belongs to the whole program."""
    before, hook, leave, drawn = dict(os.environ), sys.excepthook, sys.exit, random.getstate()
    try:
        yield
    finally:
        random.setstate(drawn)
        sys.excepthook, sys.exit = hook, leave
        if os.environ != before:
            os.environ.clear()
            os.environ.update(before)


def numbers(found: Mapping[str, Any], prefix: str = "") -> dict[str, float]:
    """The finite numbers of nested mappings by their paths, without `details`, which are many."""
    known: dict[str, float] = {}
    for key, value in found.items():
        if isinstance(value, Mapping) and key != "details":
            known |= numbers(value, f"{prefix}{key}/")
        elif type(value) in (int, float) and math.isfinite(value):
            known[f"{prefix}{key}"] = value
    return known


def shown(sample: Mapping[str, Any]) -> str:
    """A sample of a validation as one text; a source stands on a line of its own."""
    return f"{sample['prompt']}{'' if sample['continues'] else chr(10)}{sample['text']}"


def kept(path: Path, make: Callable[[], str]) -> tuple[str, bool]:
    """What a run has kept at `path`, and True; if there is nothing yet, what `make` gives is."""
    if path.exists():
        return path.read_text(encoding="utf-8"), True
    made = make()
    path.write_text(made, encoding="utf-8")
    return made, False


def _unique() -> str:
    return uuid.uuid4().hex[:12]


@trackers.register("tensorboard")
class TensorBoard(Tracker):
    """Event files in the run directory, for `tensorboard --logdir runs`."""

    def begin(self, name: str, folder: Path, options: Mapping[str, Any]) -> None:
        from torch.utils.tensorboard import SummaryWriter
        from torch.utils.tensorboard.summary import hparams

        self._writer = SummaryWriter(str(folder))
        usual = (bool, int, float, str)
        plain = {key: v if isinstance(v, usual) else json.dumps(v) for key, v in options.items()}
        events = self._writer.file_writer
        assert events is not None
        for each in hparams(plain, {})[:2]:  # without an end, which may never come
            events.add_summary(each)
        self._writer.flush()

    def log(self, step: int, scalars: Mapping[str, float]) -> None:
        for name, value in scalars.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()  # by itself once in two minutes

    def samples(self, step: int, texts: Sequence[str]) -> None:
        as_code = [indent(text, "    ", lambda _: True) for text in texts]  # it reads Markdown
        self._writer.add_text("samples", "\n\n---\n\n".join(as_code), step)

    def figure(self, step: int, picture: Path) -> None:
        import numpy as np
        from PIL import Image

        with Image.open(picture) as image:
            pixels = np.asarray(image.convert("RGB"))
        self._writer.add_image("curves", pixels, step, dataformats="HWC")

    def end(self, result: Mapping[str, float] | None) -> None:
        for name, value in (result or {}).items():
            self._writer.add_scalar(f"final/{name}", value)
        self._writer.close()


@trackers.register("wandb")
@dataclass
class Wandb(Tracker):
    """Weights & Biases: a run that is kept in the run directory until `wandb sync`, or `online`."""

    project: str = "seqgen"
    entity: str | None = None
    mode: Literal["offline", "online"] = "offline"

    def begin(self, name: str, folder: Path, options: Mapping[str, Any]) -> None:
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        import wandb

        if self.mode == "online" and not wandb.login(prompt=False):
            raise ValueError("nobody is logged in; `wandb login` once")
        self._wandb = wandb
        quiet = wandb.Settings(console="off", silent=True, symlink=False)
        self._run = wandb.init(
            project=self.project,
            entity=self.entity,
            mode=self.mode,
            name=name,
            id=kept(folder / "id", _unique)[0],
            dir=folder,
            config=dict(options),
            resume="allow",
            reinit="create_new",  # a run of the program's own stays what it is
            settings=quiet,
        )

    def log(self, step: int, scalars: Mapping[str, float]) -> None:
        self._run.log(dict(scalars), step=step)

    def samples(self, step: int, texts: Sequence[str]) -> None:
        table = self._wandb.Table(columns=["text"], data=[[each] for each in texts])
        self._run.log({"samples": table}, step=step)

    def figure(self, step: int, picture: Path) -> None:
        self._run.log({"curves": self._wandb.Image(str(picture))}, step=step)

    def end(self, result: Mapping[str, float] | None) -> None:
        self._run.summary.update({f"final/{name}": each for name, each in (result or {}).items()})
        self._run.finish(exit_code=int(result is None))


@trackers.register("mlflow")
@dataclass
class Mlflow(Tracker):
    """MLflow, with a store of files in the run directory, or the one at `uri`."""

    experiment: str = "seqgen"
    uri: str | None = None

    def begin(self, name: str, folder: Path, options: Mapping[str, Any]) -> None:
        os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        from mlflow import MlflowClient, entities

        self._entities = entities
        self._client = MlflowClient(self.uri or (folder / "store").resolve().as_uri())

        def created() -> str:
            found = self._client.get_experiment_by_name(self.experiment)
            where = found and found.experiment_id
            where = where or self._client.create_experiment(self.experiment)
            return str(self._client.create_run(where, run_name=name).info.run_id)

        self._id, resumed = kept(folder / "id", created)
        if resumed:
            self._client.update_run(self._id, "RUNNING")
            return
        params = [entities.Param(key, str(value)) for key, value in options.items()]
        for first in range(0, len(params), 100):  # as many as it takes at once
            self._client.log_batch(self._id, params=params[first : first + 100])

    def log(self, step: int, scalars: Mapping[str, float]) -> None:
        now = int(time.time() * 1000)
        metric = self._entities.Metric
        every = [metric(name, value, now, step) for name, value in scalars.items()]
        self._client.log_batch(self._id, metrics=every)

    def samples(self, step: int, texts: Sequence[str]) -> None:
        self._client.log_text(self._id, "\n\n---\n\n".join(texts), f"samples/{step:08}.txt")

    def figure(self, step: int, picture: Path) -> None:
        self._client.log_artifact(self._id, str(picture))

    def end(self, result: Mapping[str, float] | None) -> None:
        if result:
            self.log(0, {f"final/{name}": value for name, value in result.items()})
        self._client.set_terminated(self._id, "KILLED" if result is None else "FINISHED")


@trackers.register("trackio")
@dataclass
class Trackio(Tracker):
    """Trackio: its own folder on this machine, for `trackio show`, or a Space of Hugging Face."""

    project: str = "seqgen"
    space_id: str | None = None

    def begin(self, name: str, folder: Path, options: Mapping[str, Any]) -> None:
        import trackio

        self._trackio = trackio
        own, resumed = kept(folder / "name", lambda: f"{name}-{_unique()}")  # it has no other id
        with redirect_stdout(io.StringIO()):
            self._run = trackio.init(
                project=self.project,
                name=own,
                space_id=self.space_id,
                config=dict(options),
                resume="allow" if resumed else "never",
                embed=False,
            )

    def log(self, step: int, scalars: Mapping[str, float]) -> None:
        self._run.log(dict(scalars), step=step)

    def samples(self, step: int, texts: Sequence[str]) -> None:
        as_code = [indent(text, "    ", lambda _: True) for text in texts]
        self._run.log({"samples": self._trackio.Markdown("\n\n---\n\n".join(as_code))}, step=step)

    def figure(self, step: int, picture: Path) -> None:
        self._run.log({"curves": self._trackio.Image(str(picture))}, step=step)

    def end(self, result: Mapping[str, float] | None) -> None:
        with redirect_stdout(io.StringIO()):
            if result:
                self._run.log({f"final/{name}": value for name, value in result.items()})
            self._run.finish()
