"""Trials, the runs of a sweep: what values they try, how they are listed and drawn."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, cast

from seqgen.errors import RecipeError
from seqgen.files import write_file
from seqgen.reports import charts, figure
from seqgen.yaml_io import parse_value

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Status = Literal["running", "finished", "pruned", "failed"]

_RANGE = re.compile(r"(?P<log>log:)?(?P<low>[^.\s][^\s]*?)\.\.(?P<high>[^\s]+)")


class Range(NamedTuple):
    """Numbers from `low` to `high`, both included: integers if both are, evenly spread in their
    logarithm if `log`."""

    low: float
    high: float
    log: bool

    @property
    def whole(self) -> bool:
        """Whether its numbers are integers."""
        return isinstance(self.low, int) and isinstance(self.high, int)


Axis = Range | tuple[Any, ...]
"""The values that a key may take."""


def read_axis(text: str) -> tuple[str, Axis]:
    """The key and the values of `key=1e-3,3e-3`, of `key=64..512` or of `key=log:1e-4..1e-2`.

    Raises RecipeError that names the setting.
    """
    key, equals, value = text.partition("=")
    if not equals or not key.strip() or not value.strip():
        raise RecipeError(f"--set {text}: must be of the form key=value,value or key=low..high")
    match = _RANGE.fullmatch(value.strip())
    ends = f"{match['low']}, {match['high']}" if match else value
    try:
        values = cast(list[Any], parse_value(f"[{ends}]"))
    except ValueError as error:
        raise RecipeError(f"--set {text}: {error}") from None
    if match is None:
        return key.strip(), tuple(values)
    numbers = len(values) == 2 and all(type(each) in (int, float) for each in values)
    if not numbers or values[0] >= values[1] or (match["log"] and values[0] <= 0):
        wanted = f"two numbers{' above 0' if match['log'] else ''}, the lower first"
        raise RecipeError(f"--set {text}: a range must be of {wanted}")
    return key.strip(), Range(values[0], values[1], bool(match["log"]))


@dataclass(frozen=True)
class Trial:
    """A run of a sweep: the values of its keys, and what became of it.

    `validations` are its criteria (lower is better; None where it is no number), `value` the best
    of them, and `figure` the figure or metric that this is.
    """

    number: int
    settings: Mapping[str, Any]
    status: Status = "running"
    value: float | None = None
    figure: float | None = None
    validations: tuple[float | None, ...] = ()
    reason: str = ""

    @property
    def name(self) -> str:
        """The name of its run directory."""
        return f"trial-{self.number:04d}"

    @property
    def label(self) -> str:
        """`train.lr=0.001 model.cell.hidden_size=64`."""
        return " ".join(f"{key}={shown(value)}" for key, value in self.settings.items())

    def overrides(self) -> list[str]:
        """Its settings as a command line has them."""
        return [f"{key}={json.dumps(value)}" for key, value in self.settings.items()]


def shown(value: Any) -> str:
    """A value of a setting in a few characters."""
    if isinstance(value, float):
        return f"{value:.4g}"
    return value if isinstance(value, str) else json.dumps(value)


@dataclass(frozen=True)
class Outcome:
    """All trials of a sweep, in the order of their numbers; `criterion` names what `figure` is."""

    criterion: str
    trials: tuple[Trial, ...]

    def ranked(self) -> list[Trial]:
        """The finished trials, the best first, then the others."""
        return sorted(
            self.trials,
            key=lambda each: (
                each.status != "finished",
                math.inf if each.value is None else each.value,
                each.number,
            ),
        )


def table(outcome: Outcome) -> tuple[list[str], list[list[str]]]:
    """Titles and rows, the best trial first."""
    keys = list(dict.fromkeys(key for each in outcome.trials for key in each.settings))
    titles = ["trial", *(key.rpartition(".")[2] for key in keys), outcome.criterion, "status"]
    rows = [
        [
            each.name,
            *(shown(each.settings.get(key)) for key in keys),
            figure(each.figure),
            each.status,
        ]
        for each in outcome.ranked()
    ]
    return titles, rows


def write_charts(outcome: Outcome, folder: Path) -> None:
    """Write `sweep.png` and `sweep.pdf`: the figure of each trial against each of its settings."""
    draw = partial(_draw, outcome)
    for kind in ("png", "pdf"):
        write_file(folder / f"sweep.{kind}", charts.picture(draw, kind, charts.FILE))


def _draw(outcome: Outcome, layout: charts.Layout) -> Figure:
    done = [each for each in outcome.ranked() if each.figure is not None]
    keys = list(dict.fromkeys(key for each in done for key in each.settings)) or [""]
    drawn = charts.blank(replace(layout, width=max(layout.width, 2.6 * len(keys))))
    panels = drawn.subplots(1, len(keys), sharey=True, squeeze=False)[0]
    for key, axes in zip(keys, panels, strict=True):
        values: list[Any] = [each.settings.get(key) for each in done]
        numbers = all(type(each) in (int, float) for each in values)
        names = [] if numbers else list(dict.fromkeys(map(shown, values)))
        places = values if numbers else [names.index(shown(each)) for each in values]
        for each, place in reversed([*zip(done, places, strict=True)]):
            best = each is done[0] and each.status == "finished"
            colour = charts.ORANGE if best else charts.BLUE
            face = colour if each.status == "finished" else "none"
            axes.plot(place, each.figure, "o", ms=8 if best else 5, color=colour, mfc=face)
        if numbers and places and min(places) > 0 and max(places) > 20 * min(places):
            axes.set_xscale("log")
            axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
            axes.xaxis.set_minor_formatter("")
        if names:
            axes.set_xticks(range(len(names)), [charts.drawable(each) for each in names])
        axes.set_xlabel(charts.drawable(key.rpartition(".")[2], 30))
        axes.grid()
    panels[0].set_ylabel(charts.drawable(outcome.criterion, 40))
    return drawn
