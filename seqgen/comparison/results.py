"""Results: what a document says. Which of its systems to take, and why: quality comes first, and
then the cost. And its values as reports show them: what was timed is a measure like the others."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from statistics import NormalDist
from typing import Final, NamedTuple

from seqgen.comparison.document import (
    Difference,
    Document,
    Measure,
    SystemResult,
    Timings,
    Value,
    Values,
    Verdict,
)
from seqgen.comparison.measures import COMPARED, TIMED
from seqgen.options import OptionError, shown
from seqgen.reports import render, visible

COST_TOLERANCE = 1.05
"""Up to how many times the least work is as little: outputs of a word less save nothing."""

ALIKE = 0.1
"""Statistics whose ratio is within e to the power of plus or minus this are called alike."""

MARKS: Final = {"better": "\u25b2", "worse": "\u25bc", "different": "\u25c6"}
"""What stands after a value that differs significantly from the baseline's."""


class Result(NamedTuple):
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
        self.values = {
            each.label: _results(each.values) | _speeds(document.timings, each.label)
            for each in document.systems
        }
        timed = {name for own in self.values.values() for name in own}
        self.measures: dict[str, Measure] = dict(document.measures) | {
            each.id: each for each in TIMED if each.id in timed
        }
        self.references = _results(document.references.values if document.references else {})
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
        notes = {"recommended": self.take, "baseline": self.document.baseline}
        return [note for note, label in notes.items() if label == system.label]

    def plain_table(self, columns: Sequence[Measure]) -> PlainTable:
        """These columns of all systems, and of the references if they have any of them."""
        rows = []
        for system in self.systems:
            notes = ", ".join(self.notes(system))
            cells = [visible(f"{system.label} ({notes})" if notes else system.label)]
            for measure in columns:
                words = [known(self.values[system.label], measure)]
                if result := self.value(system, measure):
                    words.append(MARKS.get(self.verdict_on(system, measure), ""))
                    words.append(f"({measure.span(result.interval)})" if result.interval else "")
                cells.append(" ".join(filter(None, words)))
            rows.append(cells)
        if any(each.id in self.references for each in columns):
            rows.append(["references", *(known(self.references, each) for each in columns)])
        return PlainTable(["strategy", *(each.header for each in columns)], rows)


def terminal_rows(document: Document) -> PlainTable:
    """The leading measures of a document."""
    results = Results(document)
    return results.plain_table(results.leading())


def known(values: Mapping[str, Result], measure: Measure) -> str:
    """The value of a measure among `values`, as it is written under its title."""
    return measure.written(values[measure.id].value if measure.id in values else None)


def _results(values: Mapping[str, Value]) -> dict[str, Result]:
    found = {}
    for name, each in values.items():
        if each.value is not None:
            interval = None if each.low is None or each.high is None else (each.low, each.high)
            seeds = [one for one in each.by_seed if one is not None]
            spread = (min(seeds), max(seeds)) if len(seeds) > 1 else None
            found[name] = Result(each.value, interval, spread, f"{len(seeds)} seeds")
    return found


def _speeds(timings: Timings | None, label: str) -> dict[str, Result]:
    """What was timed of a system; rates have their spread over the repeats."""
    if timings is None or label not in timings.systems:
        return {}
    timing, found = timings.systems[label], {}
    seconds = timing.seconds
    for measure in TIMED:
        value, spread = getattr(timing, measure.id), None
        if value is not None:
            if measure.id.endswith("per_second") and 0 < seconds.min < seconds.max:
                done = value * seconds.median
                spread = done / seconds.max, done / seconds.min
            found[measure.id] = Result(value, None, spread, f"{timings.repeats} repeats")
    return found


def quality_measure(wanted: str | None, measures: Mapping[str, Measure]) -> str | None:
    """The measure by which systems are ranked: the one that is `wanted`, else the first metric,
    else unlikeness, None where there is none of these.

    Raises OptionError if what is wanted is not among those of `measures` that have a better side.
    """
    if wanted is None:
        return next((name for name, each in measures.items() if each.group == "quality"), None)
    known = [name for name, each in measures.items() if each.better is not None]
    if wanted not in known:
        message = f"must be one of {', '.join(known)}, but is {shown(wanted)}"
        raise OptionError(("quality",), message)
    return wanted


def verdict(document: Document, against_best: Callable[[str], Mapping[str, Difference]]) -> Verdict:
    """Which system to take, and why, in a few sentences.

    The best by quality, or what does as well for less: of all systems that are no more than one
    standard error behind the best (the rule of Breiman et al. 1984, here of the difference between
    two systems on the same inputs; `against_best` gives the differences from the system of a label,
    nothing where there are none) the one for which the model read the fewest rows for an input;
    where others read hardly more, the best of them. Work is counted, so the clock of a machine has
    no say. That a test cannot tell two apart would not do as a rule: with few inputs it tells
    nothing apart, and the cheapest would always be taken.

    Of equally good systems one that draws nothing comes first, then the one with less work, then
    the baseline; ties go to the first label: the order of the plan has no say. None is taken where
    no measure says what is better.
    """
    name = document.quality
    systems = [each for each in document.systems if _number(each.values, name) is not None]
    if name is None or not systems:
        sentences = render("verdict.txt", document=document, quality=name, taken=None)
        return Verdict(take=None, why=sentences.strip().split("\n"))
    sign = -1 if document.measures[name].better == "higher" else 1

    def by_quality(system: SystemResult) -> tuple[float, bool, float, bool, str]:
        value, other = sign * (_number(system.values, name) or 0.0), document.baseline
        return value, system.draws, _rows(system), system.label != other, system.label

    best = min(systems, key=by_quality)
    tests = against_best(best.label)
    near = [each for each in systems if _is_near(tests.get(each.label), document.level)]
    near.sort(key=by_quality)
    limit = COST_TOLERANCE * min(map(_rows, [best, *near]))
    taken = next(each for each in [best, *near] if _rows(each) <= limit)
    return Verdict(take=taken.label, why=reasons(document, best, taken, near, tests))


def _is_near(test: Difference | None, level: float) -> bool:
    """Whether a difference is at most its standard error, by its interval at `level`."""
    if test is None or test.delta is None or test.low is None or test.high is None:
        return False
    half_width = (test.high - test.low) / 2
    # By the lower tail: near 1, (1 + level) / 2 is 1 in floats, which has no quantile.
    return abs(test.delta) * -NormalDist().inv_cdf((1 - level) / 2) <= half_width


def _number(values: Values, name: str | None) -> float | None:
    """The value of a measure, None where it is not known."""
    found = values.get(name or "")
    return None if found is None or found.value is None or math.isnan(found.value) else found.value


def _rows(system: SystemResult) -> float:
    """The work of a system, infinite where it is not known."""
    found = _number(system.values, "rows_per_input")
    return math.inf if found is None else found


def reasons(
    document: Document,
    best: SystemResult,
    taken: SystemResult,
    near: Sequence[SystemResult],
    tests: Mapping[str, Difference],
) -> list[str]:
    """The figures behind a verdict, in up to seven sentences: on the `best` system by quality,
    those that are hardly worse, the best first (`near`), the one to take, and the `tests` of others
    against the best."""
    held_out = document.references.values if document.references else {}
    alike: dict[bool, list[str]] = {True: [], False: []}
    for name in COMPARED:
        value, wanted = _number(taken.values, name), _number(held_out, name)
        if value is not None and wanted is not None:
            ratio = value / wanted if wanted else 0
            alike[ratio > 0 and abs(math.log(ratio)) <= ALIKE].append(name)
    found = best.values[document.quality or ""]
    text = render(
        "verdict.txt",
        document=document,
        quality=document.quality,
        best=best,
        found=found,
        seeds=[each for each in found.by_seed if each is not None and math.isfinite(each)],
        taken=taken,
        near=near,
        tests=tests,
        held_out=held_out,
        alike=alike[True],
        apart=alike[False],
        least_rows=min(map(_rows, [best, *near])),
        infinity=math.inf,
        number=_number,
        rows=_rows,
    )
    # The name of a run may have a line break in it.
    return [each.strip("\n") for each in re.split(r"(?<=\.)\n", text) if each.strip()]
