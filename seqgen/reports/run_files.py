"""What the files of a run say: figures, samples, answers and attention.

A run may be unfinished, and its files cut or foreign: a file that is missing or damaged costs its
own section of the page and a remark.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path, PurePath
from typing import Annotated, Any, TypeAlias, TypeVar

from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from seqgen.errors import CheckpointError
from seqgen.files import RECORD_LIMIT, display_path, read_bytes
from seqgen.reports.format import count

Number: TypeAlias = float | None
"""NaN and infinity are numbers too; null stands where there was one that JSON cannot hold."""
Kind = TypeVar("Kind")


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
    finish_reason: str = ""
    stop: str = ""
    first: list[Candidate] = field(default_factory=list)


# Models are built when first needed: the room also writes the errors of the command line.
class Manifest(BaseModel, extra="allow", frozen=True, defer_build=True):
    """What a run was made of; whatever else the file says is kept."""

    recipe: str = ""
    description: str = ""
    device: str = ""
    parameters: Number = None
    command: list[Any] = []
    remarks: list[str] = []


class Figures(BaseModel, extra="allow", frozen=True, defer_build=True):
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
        found = {**dict(self), **(self.model_extra or {})}
        return {
            name: value
            for name, value in found.items()  # JSON has integers of any length
            if type(value) is float or (type(value) is int and value.bit_length() < 1000)
        }


class Result(BaseModel, frozen=True, defer_build=True):
    """The end of a run; that of an unfinished one says nothing."""

    train: Figures = Field(default_factory=Figures)
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
    manifest: Manifest = field(default_factory=Manifest)
    train: tuple[Figures, ...] = ()
    valid: tuple[Figures, ...] = ()
    result: Result = field(default_factory=Result)
    finished: bool = False
    samples: tuple[Sample, ...] = ()
    remarks: Sequence[str] = ()
    answers: tuple[Answer, ...] = ()
    attention: tuple[AttentionMap, ...] = ()

    @property
    def final_metrics(self) -> tuple[Figures, str]:
        """The last part that a finished run measured, whose answers it wrote down; its name."""
        result = self.result
        if result.test:
            return result.test, "test"
        return (result.valid, "validation") if result.valid else (Figures(), "")

    @property
    def held_out(self) -> tuple[Figures, str]:
        """The most telling measurement there is, perhaps that of the best validation; its name."""
        best = self.best_step
        if self.result.test or self.result.valid or best is None:
            return self.final_metrics
        measured = next(event for event in self.valid if event.step == best)
        return measured, f"validation, step {count(best)}"

    @property
    def best_step(self) -> float | None:
        """The step of the validation that the run last called its best, or else of the lowest."""
        losses = [(event.nats_per_token, event.best, event.step) for event in self.valid]
        known = [each for each in losses if each[0] is not None and isfinite(each[0])]
        if marked := [step for _, best, step in known if best]:
            return marked[-1]
        return min(known, key=lambda each: each[0] or 0.0)[2] if known else None


def read_run(folder: Path) -> RunFiles:
    """Read the run directory `folder`. Raises CheckpointError if there is none."""
    if not folder.is_dir():
        raise CheckpointError(f"{folder}: no such run directory")
    files = _Files(folder)
    recipe = files.text("recipe.yaml")
    manifest = files.json("manifest.json", Manifest) or Manifest()
    metrics = _read_metrics(files)
    result = files.json("result.json", Result)
    name = manifest.recipe or folder.resolve().name
    # Not every run has these, so that one is absent is worth no remark unless there were metrics.
    judged = result and any(part and part.metrics for part in (result.test, result.valid))
    return RunFiles(
        name=PurePath(name).stem if PurePath(name).suffix in {".yaml", ".yml"} else name,
        recipe=recipe,
        manifest=manifest,
        train=metrics["train"],
        valid=metrics["valid"],
        result=result or Result(),
        finished=result is not None,
        samples=files.entries("samples.json", Sample),
        answers=files.entries("answers.json", Answer, optional=not judged),
        attention=files.entries("attention.json", AttentionMap),
        remarks=files.remarks,
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
            reason = reason.removeprefix("cannot be read: ")
            self.remarks.append(f"{name} cannot be read ({reason})")
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
            with suppress(ValidationError):
                known.append(adapter.validate_python(entry))
        if damaged := len(found) - len(known):
            entries = "entry" if damaged == 1 else "entries"
            self.remarks.append(f"damaged {entries} of {name} left out: {damaged}")
        return tuple(known)


def _read_metrics(files: _Files) -> dict[str, tuple[Figures, ...]]:
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
        if event.step is None or not isfinite(event.step):
            continue
        if event.event == "resume":
            # What an interrupted run wrote after its last checkpoint did not happen: it is redone.
            for name, by_step in found.items():
                found[name] = {step: each for step, each in by_step.items() if step <= event.step}
        elif event.event in found:
            found[event.event][event.step] = event
    if damaged:
        files.remarks.append(f"{damaged} lines of metrics.jsonl are damaged, and left out")
    return {kind: tuple(own[step] for step in sorted(own)) for kind, own in found.items()}
