"""A contest: the runs that are compared, by name, the systems made of them, and how it goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

from seqgen.comparison.systems import System
from seqgen.files import sha256
from seqgen.trained import TrainedRun, best_checkpoint
from seqgen.training.checkpoint import WEIGHTS

T = TypeVar("T")


class Progress(NamedTuple):
    """How far a part of the work is: `done` of `total`, and what is being done."""

    done: int
    total: int
    text: str


Watch = Callable[[Progress], None]


@dataclass(frozen=True)
class Contest:
    """Who takes part. A system's `run` is the place of its run among `runs`, as its name is among
    `names`; `watch` is told of all work that takes time."""

    runs: Sequence[TrainedRun]
    names: Sequence[str]
    systems: Sequence[System]
    watch: Watch

    def each(self, things: Sequence[T], text: Callable[[T], str]) -> Iterator[T]:
        """The `things` one by one, each announced by its `text`."""
        for done, thing in enumerate(things):
            self.watch(Progress(done, len(things), text(thing)))
            yield thing

    def described(self) -> list[dict[str, Any]]:
        """The runs as a report names them."""
        return [_described(*each) for each in zip(self.runs, self.names, strict=True)]


def _described(run: TrainedRun, name: str) -> dict[str, Any]:
    record = run.directory.record()
    return {
        "name": name,
        "recipe": record.get("recipe"),
        "description": run.built.recipe.description,
        "parameters": run.built.parameters,
        "weights": _weights(run),
        "data": record.get("data"),
    }


def _weights(run: TrainedRun) -> str:
    """The SHA-256 of the weights that the run was loaded with."""
    return sha256(best_checkpoint(run.directory) / WEIGHTS)
