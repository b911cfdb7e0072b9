"""Results: a document as its reports show it. What was timed is a measure like the others."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from seqgen.comparison.document import Document, Measure, SystemResult, Timings, Value
from seqgen.comparison.measures import TIMED
from seqgen.reports import ARROWS, DASH, brief_count, figure, share, visible

MARKS: Final = {"better": "\u25b2", "worse": "\u25bc", "different": "\u25c6"}
"""What stands after a value that differs significantly from the baseline's."""


@dataclass(frozen=True)
class Result:
    """A value with its interval, and the smallest and largest of `spread_of`, where there are."""

    value: float
    interval: tuple[float, float] | None = None
    spread: tuple[float, float] | None = None
    spread_of: str = ""

    @property
    def range(self) -> tuple[float, float]:
        """The interval, else the spread, else the value alone."""
        return self.interval or self.spread or (self.value, self.value)


class PlainTable(NamedTuple):
    """Headers and cells as text; the cells of the first column are labels."""

    headers: list[str]
    rows: list[list[str]]


class Results:
    """A document with its timings as measures: `measures` by id, `values` by label and id.

    `systems` has the best quality first. `quality` and `diversity` are None where there is none.
    """

    def __init__(self, document: Document) -> None:
        self.document = document
        self.take = document.verdict.take
        timings = document.timings
        speeds = timings.systems.values() if timings else ()
        self.measures: dict[str, Measure] = dict(document.measures) | {
            each.id: each
            for each in TIMED
            if any(getattr(speed, each.id) is not None for speed in speeds)
        }
        self.values = {
            each.label: _results(each.values) | _speeds(timings, each.label)
            for each in document.systems
        }
        references = document.references
        self.references = _results(references.values) if references else {}
        self.quality = self.measures.get(document.quality or "")
        self.diversity = self.measures.get(document.diversity or "")
        self.systems = sorted(document.systems, key=self._rank)

    def _rank(self, system: SystemResult) -> float:
        """The value by which the best comes first, those of unknown quality last."""
        if self.quality is None or self.quality.better is None:
            return 0
        found = self.value(system, self.quality)
        sign = -1 if self.quality.better == "higher" else 1
        return sign * found.value if found else math.inf

    def value(self, system: SystemResult, measure: Measure) -> Result | None:
        """The value of a system, None where it is unknown."""
        return self.values[system.label].get(measure.id)

    def leading(self) -> list[Measure]:
        """The measures that say most, one for each thing that a reader asks first."""
        length = "length_ratio" if "length_ratio" in self.measures else "mean_length"
        timed = "sequences_per_second" in self.measures
        work = "sequences_per_second" if timed else "rows_per_input"
        wishes = (self.document.quality, "log_prob_per_token", self.document.diversity, length)
        wished = (each or "" for each in (*wishes, "finished", work))
        return [self.measures[name] for name in wished if name in self.measures]

    def some(self, part: str) -> bool:
        """Whether some value has an `interval`, or a `spread`."""
        return any(getattr(each, part) for own in self.values.values() for each in own.values())

    def distinguishes(self, measure: Measure) -> bool:
        """Whether systems are ranked by the measure, or it is not the same for all of them."""
        found = {own[measure.id].value for own in self.values.values() if measure.id in own}
        return len(found) > 1 or len(self.systems) == 1 or measure is self.quality

    def verdict_on(self, system: SystemResult, measure: Measure) -> str:
        """Whether a system is significantly better or worse than the baseline; different where
        neither way is better, empty where the difference may be chance."""
        change = system.against_baseline.get(measure.id)
        if change is None or change.delta is None or change.p_holm is None:
            return ""
        if change.p_holm >= self.document.alpha:
            return ""
        if measure.better is None:
            return "different"
        return "better" if (change.delta > 0) == (measure.better == "higher") else "worse"

    def notes(self, system: SystemResult) -> list[str]:
        """What is special about a system."""
        notes = {"recommended": self.take, "baseline": self.document.baseline}
        return [note for note, label in notes.items() if label == system.label]

    def plain_table(self, columns: Sequence[Measure]) -> PlainTable:
        """These columns of all systems, and of the references if they have any of them."""
        rows = []
        for system in self.systems:
            notes = ", ".join(self.notes(system))
            cells = [visible(f"{system.label} ({notes})" if notes else system.label)]
            for measure in columns:
                result = self.value(system, measure)
                if result is None:
                    cells.append(DASH)
                    continue
                mark = MARKS.get(self.verdict_on(system, measure), "")
                interval = f"({span(measure, result.interval)})" if result.interval else ""
                cells.append(
                    " ".join(filter(None, [written(measure, result.value), mark, interval]))
                )
            rows.append(cells)
        if any(each.id in self.references for each in columns):
            rows.append(["references", *(known(self.references, each) for each in columns)])
        return PlainTable(["strategy", *map(header, columns)], rows)


def terminal_rows(document: Document) -> PlainTable:
    """The leading measures of a document."""
    results = Results(document)
    return results.plain_table(results.leading())


def unit(measure: Measure) -> str:
    """The unit of what `written` writes."""
    # What is counted in rows says so in its title.
    return {"share": "%", "bytes": "MB", "rows": ""}.get(measure.unit, measure.unit)


def titled(measure: Measure) -> str:
    """The title with the unit."""
    return f"{measure.title}, {unit(measure)}" if unit(measure) else measure.title


def header(measure: Measure) -> str:
    """The title of a column with its unit and which way is better."""
    return visible(titled(measure) + ARROWS[measure.better or ""])


def written(measure: Measure, value: float | None) -> str:
    """The value without its unit, as it stands under a title that says the unit."""
    if measure.unit == "share":
        return share(value).removesuffix(" %")
    if measure.unit == "bytes" and value is not None:
        return figure(value / 1e6)
    if value is not None and 1e-4 <= abs(value) < 0.1:
        return f"{value:#.4g}"  # as many digits as its neighbours in a column
    return brief_count(value) if value is not None and abs(value) >= 1e5 else figure(value)


def known(values: Mapping[str, Result], measure: Measure) -> str:
    """The value of a measure among `values`, as `written` writes it."""
    return written(measure, values[measure.id].value if measure.id in values else None)


def in_words(measure: Measure, value: float | None) -> str:
    """The value with its unit."""
    text = written(measure, value)
    return f"{text} {unit(measure)}" if value is not None and unit(measure) else text


def span(measure: Measure, ends: tuple[float, float]) -> str:
    """From one value to another, without a unit."""
    between = "\u2013" if ends[0] >= 0 else " to "
    return f"{written(measure, ends[0])}{between}{written(measure, ends[1])}"


def _results(values: Mapping[str, Value]) -> dict[str, Result]:
    found = {}
    for name, each in values.items():
        if each.value is not None:
            low, high = each.low, each.high
            seeds = [one for one in each.by_seed if one is not None]
            found[name] = Result(
                each.value,
                (low, high) if low is not None and high is not None else None,
                (min(seeds), max(seeds)) if len(seeds) > 1 else None,
                f"{len(seeds)} seeds",
            )
    return found


def _speeds(timings: Timings | None, label: str) -> dict[str, Result]:
    """What was timed of a system; rates have their spread over the repeats."""
    if timings is None or label not in timings.systems:
        return {}
    timing, found = timings.systems[label], {}
    seconds = timing.seconds
    for measure in TIMED:
        value = getattr(timing, measure.id)
        if value is not None:
            spread, done = None, value * seconds.median
            if measure.id.endswith("per_second") and 0 < seconds.min < seconds.max:
                spread = done / seconds.max, done / seconds.min
            found[measure.id] = Result(value, None, spread, f"{timings.repeats} repeats")
    return found
