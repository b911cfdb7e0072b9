"""What the files of a run say: figures, samples, answers, attention and learning curves.

A run may be unfinished, and its files cut or foreign: a file that is missing or damaged costs its
own section of the page and a remark.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path, PurePath
from typing import Annotated, Any, Final, TypeAlias, TypeVar

from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from seqgen.errors import CheckpointError
from seqgen.files import RECORD_LIMIT, display_path, read_bytes
from seqgen.reports.format import count

Number: TypeAlias = float | None
"""NaN and infinity are numbers too; null stands where there was one that JSON cannot hold."""
Points: TypeAlias = list[tuple[float, float]]
Kind = TypeVar("Kind")

BUCKETS: Final = 400
"""More points would be finer than the pixels of a chart."""
DRAWABLE: Final = 1e12
"""Beyond this a loss says only that training diverged, and no axis can show it."""


@dataclass(frozen=True)
class Candidate:
    """A token that an output could have begun with."""

    token: str = ""
    probability: Number = None


@dataclass(frozen=True)
class Sample:
    """A text that the model wrote: it continues the prompt, or was made of it."""

    prompt: str = ""
    text: str = ""
    continues: bool = True
    temperature: Number = None
    pieces: list[str] = field(default_factory=list)
    log_probs: list[Number] = field(default_factory=list)
    finished: bool | None = None
    first: list[Candidate] = field(default_factory=list)

    @property
    def nats(self) -> list[float]:
        """What each token cost, the end as well."""
        return [-value for value in self.log_probs if value is not None]


class Figures(BaseModel, extra="allow", frozen=True):
    """What was measured: an event of metrics.jsonl, or a part of result.json."""

    event: str = ""
    step: Number = None
    steps: Number = None
    loss: Number = None
    learning_rate: Number = None
    seconds: Number = None
    tokens_per_second: Number = None
    nats_per_token: Number = None
    criterion: Number = None
    best: bool = False
    metrics: dict[str, Number] = {}
    details: dict[str, Any] = {}
    samples: list[Sample] = []

    @property
    def measures(self) -> dict[str, float]:
        """All numbers by name, but those of the metrics."""
        fields = {**dict(self), **(self.model_extra or {})}
        return {
            name: value
            for name, value in fields.items()
            if isinstance(value, int | float) and not isinstance(value, bool)
        }


class Result(BaseModel, frozen=True):
    """The end of a finished run."""

    train: Figures = Figures()
    valid: Figures | None = None
    test: Figures | None = None
    better: dict[str, str] = {}
    """Which way each metric is better."""
    best_step: Number = None
    parameters: Number = None
    stopped: str = ""


@dataclass(frozen=True)
class Answer:
    """The output for a source, and all that would have been right."""

    source: str
    output: str
    references: Annotated[tuple[str, ...], Field(min_length=1)]
    score: Number = None
    finished: bool = False

    @property
    def wrong(self) -> bool:
        """Whether the output is none of the references."""
        return self.output not in self.references


@dataclass(frozen=True)
class AttentionMap:
    """How much the model looked at each source token for each output token:
    `weights[output][source]`. Raises ValueError if the sizes do not match."""

    source: Annotated[list[str], Field(min_length=1)]
    output: Annotated[list[str], Field(min_length=1)]
    weights: list[list[Annotated[float, Field(ge=0, le=1.001)]]]

    def __post_init__(self) -> None:
        sizes = [len(row) for row in self.weights]
        if sizes != [len(self.source)] * len(self.output):
            raise ValueError("not one weight for each output token and source token")


@dataclass(frozen=True)
class RunFiles:
    """What is known of a run; every part may be empty."""

    name: str
    recipe: str = ""
    manifest: Mapping[str, Any] = field(default_factory=dict)
    train: tuple[Figures, ...] = ()
    valid: tuple[Figures, ...] = ()
    result: Result | None = None
    samples: tuple[Sample, ...] = ()
    remarks: tuple[str, ...] = ()
    answers: tuple[Answer, ...] = ()
    attention: tuple[AttentionMap, ...] = ()

    @property
    def final_metrics(self) -> tuple[Figures | None, str]:
        """The last part that a finished run measured, whose answers it wrote down; its name."""
        if self.result and self.result.test:
            return self.result.test, "test"
        return (self.result.valid, "validation") if self.result else (None, "")

    @property
    def held_out(self) -> tuple[Figures, str]:
        """The most telling measurement there is, perhaps that of the best validation; its name."""
        measured, name = self.final_metrics
        best = self.best_step
        if measured is None and best is not None:
            measured = next(event for event in self.valid if event.step == best)
            name = f"validation, step {count(best)}"
        return measured or Figures(), name

    @property
    def best_step(self) -> float | None:
        """The step of the validation that the run last called its best, or else of the lowest."""
        valid, _ = _points(self.valid, "nats_per_token")
        marked = {event.step for event in self.valid if event.best}
        best = [step for step, _ in valid if step in marked][-1:]
        best += [min(valid, key=lambda point: point[1])[0]] if valid else []
        return best[0] if best else None


@dataclass(frozen=True)
class Curves:
    """The points of the learning curves are (step, value), losses in nats per token."""

    train: Points
    smoothed: Points
    valid: Points
    best: tuple[float, float] | None
    rates: Points
    seconds: Points
    left_out: int
    """How many losses are no finite number, or beyond what can be drawn."""
    metric: str = ""
    """The metric by which the best is chosen, or else the first one that there is."""
    measured: Points = field(default_factory=list)
    measured_best: tuple[float, float] | None = None
    """The best as `metric` has it, where the best is chosen by it."""


def read_run(folder: Path) -> RunFiles:
    """Read the run directory `folder`. Raises CheckpointError if there is none."""
    if not folder.is_dir():
        raise CheckpointError(f"{folder}: no such run directory")
    files = _Files(folder)
    recipe = files.text("recipe.yaml")
    manifest = files.json("manifest.json", dict[str, Any]) or {}
    train, valid = _read_metrics(files)
    result = files.json("result.json", Result)
    # Not every run has these, so that one is absent is worth no remark unless there were metrics.
    samples = files.entries("samples.json", Sample)
    judged = result and any(part and part.metrics for part in (result.test, result.valid))
    answers = files.entries("answers.json", Answer, optional=not judged)
    attention = files.entries("attention.json", AttentionMap)
    recorded = manifest.get("recipe")
    name = recorded if recorded and isinstance(recorded, str) else folder.resolve().name
    return RunFiles(
        name=PurePath(name).stem if PurePath(name).suffix in {".yaml", ".yml"} else name,
        recipe=recipe,
        manifest=manifest,
        train=train,
        valid=valid,
        result=result,
        samples=samples,
        remarks=tuple(files.remarks),
        answers=answers,
        attention=attention,
    )


class _Files:
    """Reads the files of a run directory; what is wrong with them becomes `remarks`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.remarks: list[str] = []

    def text(self, name: str) -> str:
        path = self.folder / name
        if not os.path.lexists(path):
            self.remarks.append(f"{name} is missing")
            return ""
        try:
            text = read_bytes(path, CheckpointError, limit=RECORD_LIMIT).decode(errors="replace")
        except CheckpointError as error:
            reason = str(error).removeprefix(f"{display_path(path)}: ")
            self.remarks.append(
                f"{name} cannot be read ({reason.removeprefix('cannot be read: ')})"
            )
            return ""
        if not text.strip():
            self.remarks.append(f"{name} is empty")
        return text

    def json(self, name: str, kind: type[Kind]) -> Kind | None:
        text = self.text(name)
        try:
            return TypeAdapter(kind).validate_python(json.loads(text)) if text.strip() else None
        except (ValueError, RecursionError):
            self.remarks.append(f"{name} is damaged")
            return None

    def entries(self, name: str, kind: type[Kind], optional: bool = True) -> tuple[Kind, ...]:
        """The entries of a list that are of that kind."""
        if optional and not os.path.lexists(self.folder / name):
            return ()
        found = self.json(name, list[Any]) or []
        adapter, known = TypeAdapter(kind), []
        for entry in found:
            try:
                known.append(adapter.validate_python(entry))
            except ValidationError:
                continue
        if damaged := len(found) - len(known):
            entries = "entry" if damaged == 1 else "entries"
            self.remarks.append(f"damaged {entries} of {name} left out: {damaged}")
        return tuple(known)


def _read_metrics(files: _Files) -> tuple[tuple[Figures, ...], tuple[Figures, ...]]:
    """The train and valid events of metrics.jsonl by step, each step once."""
    found: dict[str, dict[float, Figures]] = {"train": {}, "valid": {}}
    lines = [line for line in files.text("metrics.jsonl").split("\n") if line.strip()]
    damaged = 0
    for position, line in enumerate(lines):
        try:
            event = Figures.model_validate(json.loads(line))
        except (ValueError, RecursionError):
            if position == len(lines) - 1:
                files.remarks.append("the last line of metrics.jsonl is cut, and left out")
            else:
                damaged += 1
            continue
        if event.step is None or not math.isfinite(event.step):
            continue
        if event.event == "resume":
            # What an interrupted run wrote after its last checkpoint did not happen: it is redone.
            for name, by_step in found.items():
                found[name] = {step: each for step, each in by_step.items() if step <= event.step}
        elif event.event in found:
            found[event.event][event.step] = event
    if damaged:
        files.remarks.append(f"{damaged} lines of metrics.jsonl are damaged, and left out")
    train, valid = (tuple(by_step[step] for step in sorted(by_step)) for by_step in found.values())
    return train, valid


def curves_of(run: RunFiles) -> Curves:
    """The learning curves of a run, with at most some hundreds of points each."""
    train, train_left_out = _points(run.train, "loss")
    valid, valid_left_out = _points(run.valid, "nats_per_token")
    means = thin_to_means(train)
    metric, chosen = _metric(run.valid)
    values = [Figures(step=event.step, loss=event.metrics.get(metric)) for event in run.valid]
    measured, _ = _points(values, "loss")
    best = run.best_step
    return Curves(
        train=thin_to_extremes(train),
        smoothed=smooth(means, reach=len(means) // 40),
        valid=thin_to_means(valid),
        best=next((point for point in valid if point[0] == best), None),
        rates=thin_to_means(_points(run.train, "learning_rate")[0]),
        seconds=_clock(run),
        left_out=train_left_out + valid_left_out,
        metric=metric if measured else "",
        measured=thin_to_means(measured),
        measured_best=next((point for point in measured if chosen and point[0] == best), None),
    )


def _metric(valid: Sequence[Figures]) -> tuple[str, bool]:
    """The metric whose value, or its opposite where more is better, was each `criterion`; where
    none was, the first one, and False."""
    names = list(valid[-1].metrics) if valid else []
    for name in names:
        values = [event.metrics.get(name) for event in valid]
        if None not in values and all(
            event.criterion in (value, -(value or 0.0))
            for event, value in zip(valid, values, strict=True)
        ):
            return name, True
    return (names[0] if names else ""), False


def thin_to_extremes(points: Points) -> Points:
    """Each bucket's lowest and highest point, so that no spike is lost."""
    thinned: Points = []
    for bucket in _buckets(points):
        lowest = min(bucket, key=lambda point: point[1])
        highest = max(bucket, key=lambda point: point[1])
        thinned += sorted({lowest, highest})
    return thinned


def thin_to_means(points: Points) -> Points:
    """Each bucket's mean point."""
    return [_mean(bucket) for bucket in _buckets(points)]


def smooth(points: Points, reach: int) -> Points:
    """The mean of each value with up to `reach` neighbours on either side.

    Both sides count alike and shrink towards the ends: so the curve has no lag, and begins and ends
    where the values do.
    """
    smoothed: Points = []
    for index, (step, _) in enumerate(points):
        side = min(reach, index, len(points) - 1 - index)
        smoothed.append((step, _mean(points[index - side : index + side + 1])[1]))
    return smoothed


def _buckets(points: Points) -> list[Points]:
    size = math.ceil(len(points) / BUCKETS) or 1
    return [points[start : start + size] for start in range(0, len(points), size)]


def _mean(points: Points) -> tuple[float, float]:
    steps, values = zip(*points, strict=True)
    return sum(steps) / len(points), sum(values) / len(points)


def _points(found: Sequence[Figures], key: str) -> tuple[Points, int]:
    """(step, value) of all events that have both, and how many cannot be drawn."""
    pairs = [(event.step, getattr(event, key)) for event in found]
    known = [(step, value) for step, value in pairs if step is not None and value is not None]
    points = [
        (step, value) for step, value in known if abs(value) < DRAWABLE and abs(step) < DRAWABLE
    ]
    return points, len(known) - len(points)


def _clock(run: RunFiles) -> Points:
    """(step, seconds since the start), empty unless time goes forward with the steps."""
    for found in (run.train, run.valid):
        points, _ = _points(found, "seconds")
        forward = all(a[1] <= b[1] for a, b in pairwise(points))
        if forward and len(points) > 1 and points[0][1] < points[-1][1]:
            return thin_to_means(points)
    return []
