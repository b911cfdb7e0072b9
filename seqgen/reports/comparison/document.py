"""What compare.json says, as typed values; whatever is missing or foreign in it is left out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from seqgen.errors import CheckpointError
from seqgen.files import read_mapping
from seqgen.reports.comparison.measures import Measure, Value, described, timed, valued
from seqgen.reports.fields import Record, finite, items, number, record, records, string

FORMAT = 2


@dataclass(frozen=True)
class Change:
    """How a system's value of a measure differs from the baseline's: `delta` is its own less the
    baseline's, `low` to `high` the interval of that; `p_holm` is corrected for their number."""

    delta: float
    low: float | None
    high: float | None
    p_value: float | None
    p_holm: float | None


@dataclass(frozen=True)
class Row:
    """A system: a run and a strategy, with what was measured of it."""

    label: str
    run: str
    decoder: Record
    values: Mapping[str, Value]
    changes: Mapping[str, Change]


@dataclass(frozen=True)
class Comparison:
    """A comparison. `rows` stand in the order of the plan; `quality`, `diversity`, `baseline` and
    `take` are empty where there are none; `content` is the whole document."""

    content: Record
    measures: Mapping[str, Measure]
    rows: tuple[Row, ...]
    references: Mapping[str, Value]
    quality: str
    diversity: str
    baseline: str
    take: str

    @property
    def runs(self) -> list[str]:
        """The names of the runs, in their order."""
        return [string(each, "name") for each in records(items(self.content, "runs"))]

    @property
    def alpha(self) -> float:
        """The p-value under which a difference is called significant."""
        options = record(record(self.content, "plan"), "significance")
        level = finite(options, "level")
        return 1 - level if level is not None and 0 < level < 1 else 0.05

    def best_first(self) -> list[Row]:
        """The rows, sorted by quality as far as that is known."""
        measure = self.measures.get(self.quality)
        if measure is None or not measure.better:
            return list(self.rows)
        sign = -1 if measure.better == "higher" else 1

        def place(row: Row) -> float:
            value = row.values.get(measure.name)
            return math.inf if value is None else sign * value.value

        return sorted(self.rows, key=place)

    def row(self, label: str) -> Row | None:
        """The row of that label, if there is one."""
        return next((each for each in self.rows if each.label == label), None)


def read_comparison(folder: Path) -> Comparison:
    """What `compare.json` in `folder` says. Errors: CheckpointError."""
    path = folder / "compare.json"
    content = read_mapping(path)
    if content.get("format") != FORMAT:
        raise CheckpointError(f"{path}: its format is not {FORMAT}, which this seqgen reads")
    return comparison_of(content)


def comparison_of(content: Record) -> Comparison:
    """The document as typed values."""
    timings = record(content, "timings")
    speeds = record(timings, "systems")
    measures = described(record(content, "measures"))
    measures |= timed(record(speeds, label) for label in speeds)
    rows = tuple(
        _row(each, record(speeds, string(each, "label")), timings)
        for each in records(items(content, "systems"))
        if string(each, "label")
    )
    quality, diversity = string(content, "quality"), string(content, "diversity")
    return Comparison(
        content=content,
        measures=MappingProxyType(measures),
        rows=rows,
        references=_values(record(record(content, "references"), "values")),
        quality=quality if quality in measures else "",
        diversity=diversity if diversity in measures else "",
        baseline=string(content, "baseline"),
        take=string(record(content, "verdict"), "take"),
    )


def _row(found: Record, speeds: Record, timings: Record) -> Row:
    changes = record(found, "against_baseline")
    known = {name: _change(record(changes, name)) for name in changes}
    return Row(
        label=string(found, "label"),
        run=string(found, "run"),
        decoder=record(found, "decoder"),
        values=MappingProxyType({**_values(record(found, "values")), **_speeds(speeds, timings)}),
        changes=MappingProxyType({name: each for name, each in known.items() if each}),
    )


def _change(found: Record) -> Change | None:
    delta = finite(found, "delta")
    if delta is None:
        return None
    rest = (finite(found, key) for key in ("low", "high", "p_value", "p_holm"))
    return Change(delta, *rest)


def _values(found: Record) -> dict[str, Value]:
    known = {name: valued(record(found, name)) for name in found}
    return {name: value for name, value in known.items() if value is not None}


def _speeds(speeds: Record, timings: Record) -> dict[str, Value]:
    """What was timed, as values whose spread is over the repeats."""
    seconds = record(speeds, "seconds")
    least, median, most = (finite(seconds, key) for key in ("min", "median", "max"))
    repeats = f"{number(timings, 'repeats') or 0:.0f} repeats"
    found = {}
    for name in ("sequences_per_second", "tokens_per_second", "calls", "peak_bytes"):
        value = finite(speeds, name)
        if value is None:
            continue
        spread = None
        if name.endswith("per_second") and least and median and most and least < most:
            spread = (value * median / most, value * median / least)
        found[name] = Value(value, spread=spread, spread_of=repeats)
    return found


def by_run(part: Record) -> Sequence[Record]:
    """The entries of a part that stands once for each run."""
    return records(items(part, "by_run"))
