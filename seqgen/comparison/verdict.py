"""The verdict: which system to take, by its quality first and then by what it costs; and why."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from statistics import NormalDist

from seqgen.comparison.document import Difference, Document, Measure, SystemResult, Values, Verdict
from seqgen.comparison.measures import COMPARED
from seqgen.options import OptionError, shown
from seqgen.reports import render

COST_TOLERANCE = 1.05
"""Up to how many times the least work is as little: outputs of a word less save nothing."""

ALIKE = 0.1
"""Statistics whose ratio is within e to the power of plus or minus this are called alike."""


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
    quality = document.quality or ""
    held_out = document.references.values if document.references else {}
    alike: dict[bool, list[str]] = {True: [], False: []}
    for name in COMPARED:
        value, wanted = _number(taken.values, name), _number(held_out, name)
        if value is not None and wanted is not None:
            ratio = value / wanted if wanted else 0
            alike[ratio > 0 and abs(math.log(ratio)) <= ALIKE].append(name)
    found = best.values[quality]
    p_values = [each.p_holm for each in tests.values() if each.p_holm is not None]
    text = render(
        "verdict.txt",
        document=document,
        quality=quality,
        title=document.measures[quality].title,
        higher=document.measures[quality].better == "higher",
        best=best,
        found=found,
        seeds=[each for each in found.by_seed if each is not None and math.isfinite(each)],
        taken=taken,
        near=near,
        tests=tests,
        distinct=sum(each < document.alpha for each in p_values),
        baseline=document.system(document.baseline),
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
