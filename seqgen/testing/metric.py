"""The laws of metrics, and `check_metric`, which tries them on a few answers."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np

from seqgen.metrics import Answer, Measured, Metric, MetricOfSums, metrics
from seqgen.testing import require
from seqgen.testing.laws import BreachError, Law, NotTriedError, Report, Watch, try_laws, unwatched
from seqgen.testing.require import BUILT, small_part

ANSWERS = (
    Answer("the cat sat", "D N V", ("D N V",), -0.1),
    Answer("a cat", "D D", ("D N", "D V"), -2.5),
    Answer("cats sleep now", "N V V", ("N V A",), -1.0, finished=False),
    Answer("über ñ", "A A", ("N A", "A A"), -0.7),
    Answer("x", "V", ("N",), -9.0),
    Answer("the dog ran home", "D N V N", ("D N V N", "D N V A"), -0.2),
)
"""Some right, some wrong; an output has a token for each token of its source, as tags have."""
NOTHING = Answer("", "", ("",))
"""An empty answer to an empty source, which is right."""


@dataclass(frozen=True)
class MetricCase:
    """How to build the metric."""

    factory: Callable[..., Any]

    def make(self) -> Metric:
        """The metric."""
        made: Metric = self.factory()
        return made

    def value(self, answers: Sequence[Answer]) -> float:
        """What it measures, if that is a finite number."""
        found: Any = self.make().measure_all(answers)
        if not isinstance(found, Measured):
            says = "`measure_all` must return Measured(value, details), not "
            raise BreachError(f"{says}{require.named(found)}")
        if not isinstance(found.value, float | int):
            raise BreachError(f"the value must be a number, but is {require.named(found.value)}")
        if not math.isfinite(found.value):
            says = "; say what it is where nothing can be counted (`share` in seqgen.metrics.base)"
            raise BreachError(f"the value is {found.value} for {len(answers)} answers{says}")
        return float(found.value)


def check_metric(metric: object, *, watch: Watch = unwatched, **options: Any) -> Report:
    """Try the laws on a metric: a registered name, a mapping, a class or another callable."""
    name, factory = small_part(metrics, metric, options)
    return try_laws(name, METRIC_LAWS, MetricCase(factory), watch)


def _is_a_metric(case: MetricCase) -> None:
    require.contract(case.make(), Metric)


def _direction(case: MetricCase) -> None:
    better = getattr(case.make(), "better", None)
    says = f'`better` must be "lower" or "higher", but is {better!r}'
    require.that(better in ("lower", "higher"), says)


def _finite(case: MetricCase) -> None:
    for answers in (ANSWERS, *([each] for each in ANSWERS), [NOTHING], [NOTHING, *ANSWERS]):
        case.value(answers)
    silent = [replace(each, output="") for each in ANSWERS if len(each.source.split()) == 1]
    case.value(silent)


def _details(case: MetricCase) -> None:
    details = case.make().measure_all(ANSWERS).details
    try:
        json.dumps(dict(details), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise BreachError(f"`details` must be plain data, for JSON: {error}") from None


def _order(case: MetricCase) -> None:
    wanted = case.value(ANSWERS)
    for first in range(1, len(ANSWERS)):
        found = case.value(ANSWERS[first:] + ANSWERS[:first])
        says = f"the order of the answers matters: {wanted:.6g} became {found:.6g}"
        require.that(_near(found, wanted), says)


def _same_twice(case: MetricCase) -> None:
    made = case.make()
    first = made.measure_all(ANSWERS).value
    for each in ANSWERS:
        made.measure_all([each])
    again = made.measure_all(ANSWERS).value
    says = f"the same answers measured {first:.6g} and then {again:.6g}; keep nothing between calls"
    require.that(first == again, says)


def _right(case: MetricCase) -> None:
    right = case.value([replace(each, output=each.references[0]) for each in ANSWERS])
    wrong = case.value([replace(each, output=" ".join("?" for _ in each.output.split()))
                        for each in ANSWERS])  # fmt: skip
    better = case.make().better
    holds = right <= wrong if better == "lower" else right >= wrong
    says = f"answers that are right measure {right:.6g} and nonsense {wrong:.6g}, but `better` is "
    require.that(holds, f'{says}"{better}"')


def _sums(case: MetricCase) -> MetricOfSums:
    """The metric, if it is of sums; a law about these is not tried if it is not."""
    made = case.make()
    if not isinstance(made, MetricOfSums):
        raise NotTriedError("its value does not follow from sums (MetricOfSums)")
    return made


def _statistics(case: MetricCase) -> None:
    statistics: Any = _sums(case).statistics(ANSWERS)
    if not isinstance(statistics, np.ndarray) or statistics.ndim != 2:
        says = "`statistics` must return an array of [answers, columns], not "
        raise BreachError(f"{says}{getattr(statistics, 'shape', require.named(statistics))}")
    says = f"`statistics` must have a row for each of {len(ANSWERS)} answers, but has "
    require.that(len(statistics) == len(ANSWERS), f"{says}{len(statistics)}")
    require.that(bool(np.isfinite(statistics).all()), "a number in `statistics` is not finite")


def _resampled(case: MetricCase) -> None:
    made = _sums(case)
    statistics = made.statistics(ANSWERS)
    for weights in ([1, 1, 1, 1, 1, 1], [0, 2, 0, 3, 0, 1], [0, 0, 1, 0, 0, 0], [5, 0, 0, 0, 1, 1]):
        repeated = [
            each for each, times in zip(ANSWERS, weights, strict=True) for _ in range(times)
        ]
        found, wanted = float(made.value(np.array(weights) @ statistics)), case.value(repeated)
        says = f"of answers that occur {weights} times, `value` of the sums is {found:.6g}, but "
        says += f"measured they are {wanted:.6g}; sum counts, and divide in `value`"
        require.that(_near(found, wanted), says)


def _many_at_once(case: MetricCase) -> None:
    made = _sums(case)
    sums = np.cumsum(made.statistics(ANSWERS), axis=0)
    found = made.value(np.stack([sums, sums]))
    says = "`value` of sums [2, 6, columns] must be [2, 6]; index columns by `[..., i]`"
    require.that(np.shape(found) == (2, len(ANSWERS)), says)
    one_by_one = [float(cast(Any, made.value(each))) for each in sums]
    says = "`value` of many sums is not that of each of them; sum over the last dimension alone"
    require.that(np.allclose(found, [one_by_one] * 2), says)


def _near(found: float, wanted: float) -> bool:
    return math.isclose(found, wanted, rel_tol=1e-9, abs_tol=1e-9)


_SOUND = ("is a metric", "it measures a finite number", "the same twice")
_SUMS = (*_SOUND, "statistics are a row for each answer")
_CALLING = "`measure_all(answers)` must take any answers that have references"

METRIC_LAWS: tuple[Law[MetricCase], ...] = (
    Law(_SOUND[0], _is_a_metric, BUILT.format("nothing else")),
    Law("it says what is better", _direction, 'write `better = "higher"` in the class', _SOUND[:1]),
    Law(_SOUND[1], _finite, _CALLING, _SOUND[:1]),
    Law(_SOUND[2], _same_twice, _CALLING, _SOUND[:2]),
    Law("details are plain data", _details, _CALLING, _SOUND),
    Law("the order of answers does not matter", _order, _CALLING, _SOUND),
    Law(
        "right answers are no worse than nonsense",
        _right,
        _CALLING,
        (*_SOUND, "it says what is better"),
    ),
    Law(_SUMS[3], _statistics, _CALLING, _SOUND),
    Law("statistics add up", _resampled, _CALLING, _SUMS),
    Law("many values are computed at once", _many_at_once, _CALLING, _SUMS),
)
