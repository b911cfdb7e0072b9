"""The verdict: which system to take, by its quality first and then by what it costs."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from statistics import NormalDist
from typing import Any

from seqgen.comparison.measures import Measure
from seqgen.comparison.reasons import Case, System, reasons, without_quality
from seqgen.options import OptionError, shown

Against = Mapping[str, Mapping[str, float]]
"""The tests of all other systems against one, by their labels."""


HARDLY_MORE = 1.05
"""Up to how many times the least work is as little: outputs of a word less save nothing."""


def quality_measure(wanted: str | None, measures: Mapping[str, Measure]) -> str | None:
    """The measure by which systems are ranked: the one that is `wanted`, else the first metric,
    else unlikeness, None where there is none of these.

    Errors: OptionError where what is wanted is not among those of `measures` that have a better
    side.
    """
    if wanted is None:
        return next((name for name, each in measures.items() if each.group == "quality"), None)
    known = [name for name, each in measures.items() if each.better is not None]
    if wanted not in known:
        message = f"must be one of {', '.join(known)}, but is {shown(wanted)}"
        raise OptionError(("quality",), message)
    return wanted


def verdict(
    found: Mapping[str, Any], against_best: Callable[[str], Against], level: float
) -> dict[str, Any]:
    """Which system to `take`, and `why`, in a few sentences; `found` is what `compare.json` has.

    The best by quality, or what does as well for less: of all systems that are no more than one
    standard error behind the best (the rule of Breiman et al. 1984, here of the difference between
    two systems on the same inputs; `against_best` gives the differences from the system of a label
    with their intervals at `level`, nothing where there are none) the one for which the model read
    the fewest rows for an input; where others read hardly more, the best of them. Work is counted,
    so the clock of a machine has no say. That a test cannot tell two apart would not do as a rule:
    with few inputs it tells nothing apart, and the cheapest would always be taken.

    Of equally good systems one that draws nothing comes first, then the one with less work, then
    the baseline, then by label: the order of the plan has no say. None is taken where no measure
    says what is better.
    """
    name = found.get("quality")
    systems = [each for each in found["systems"] if _value(each, name) is not None]
    if name is None or not systems:
        return {"take": None, "why": without_quality(found)}
    sign = -1 if found["measures"][name]["better"] == "higher" else 1

    def by_quality(system: System) -> tuple[float, bool, float, bool, str]:
        value, label = sign * (_value(system, name) or 0.0), system["label"]
        other = label != found.get("baseline")
        return value, bool(system.get("draws")), _rows(system), other, label

    best = min(systems, key=by_quality)
    tests = against_best(best["label"])
    near = sorted(
        (each for each in systems if _near(tests.get(each["label"]), level)), key=by_quality
    )
    limit = HARDLY_MORE * min(map(_rows, [best, *near]))
    taken = next(each for each in [best, *near] if _rows(each) <= limit)
    told = sum(each["p_holm"] < 1 - level for each in tests.values())
    case = Case(found, best, taken, near if tests else None, told, level)
    return {"take": taken["label"], "why": reasons(case)}


def _near(test: Mapping[str, float] | None, level: float) -> bool:
    """Whether a difference is at most its standard error, which its interval at `level` tells."""
    if test is None:
        return False
    half_width = (test["high"] - test["low"]) / 2
    # By the lower tail: near 1, (1 + level) / 2 is 1 in floats, which has no quantile.
    return abs(test["delta"]) * -NormalDist().inv_cdf((1 - level) / 2) <= half_width


def _value(system: System, name: str | None) -> float | None:
    """The value by a measure, None where it is not known."""
    value = system["values"].get(name, {}).get("value")
    return None if value is None or math.isnan(value) else float(value)


def _rows(system: System) -> float:
    """The work of a system, infinite where it is not known."""
    return float(system["values"].get("rows_per_input", {}).get("value", math.inf))
