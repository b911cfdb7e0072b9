"""Measures: what a comparison says of a system, as values that go by the id of a measure."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, Literal

from seqgen.comparison.produced import Output, Produced

Group = Literal["quality", "score", "diversity", "length", "work"]

Outputs = Sequence[Sequence[Output]]
"""For each input its outputs, by one seed."""

Values = dict[str, dict[str, Any]]
"""For the id of each measure its `value`, `by_seed`, and where it has an interval `low` and `high`;
plain data."""


@dataclass(frozen=True)
class Measure:
    """What stands in a column, for people: `about` is a sentence with the formula.

    `better` is None where neither way is better by itself; of diversity it is the more diverse one,
    which is not to say that there cannot be too much of it. `unit` is that of the values: `share`,
    `nats`, `bits`, `tokens`, `rows`, `points`, or nothing for a bare number. A column in which all
    values are `silent` says nothing and is left out.
    """

    id: str
    title: str
    group: Group
    better: Literal["lower", "higher"] | None
    unit: str
    about: str
    silent: float | None = None

    def as_data(self) -> dict[str, Any]:
        """What a report needs of it."""
        names = ("title", "group", "better", "unit", "about")
        return {name: getattr(self, name) for name in names}


def by_seed(produced: Produced, measured: Callable[[Outputs], Mapping[str, float]]) -> Values:
    """What `measured` says of all outputs of each seed, and as the value the mean over seeds.

    A value that is not defined for a seed is NaN there and does not count in the mean.
    """
    found = [measured(outputs) for outputs in produced.outputs]
    names = dict.fromkeys(name for each in found for name in each)
    return {name: averaged([each.get(name, math.nan) for each in found]) for name in names}


def averaged(values: Sequence[float]) -> dict[str, Any]:
    """The values of seeds as `by_seed`, and the mean of those that are no NaN as `value`."""
    defined = [each for each in values if not math.isnan(each)]
    return {"value": fmean(defined) if defined else math.nan, "by_seed": list(values)}


def columns(
    measures: Iterable[Measure],
    systems: Iterable[Mapping[str, Mapping[str, Any]]],
    wanted: str | None = None,
) -> dict[str, Measure]:
    """Those of `measures` that some of the systems has among its values, in the order given; of
    those in which nothing but silent values stands, only what is `wanted`."""
    values: dict[str, set[float]] = {}
    for system in systems:
        for name, found in system.items():
            values.setdefault(name, set()).add(found["value"])
    return {
        each.id: each
        for each in measures
        if each.id in values and (each.id == wanted or values[each.id] != {each.silent})
    }
