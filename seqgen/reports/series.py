"""The points of the learning curves: chosen, smoothed and thinned from a run's records."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TypeAlias

from seqgen.reports.fields import Record, number, record
from seqgen.reports.run_files import RunFiles

Points: TypeAlias = list[tuple[float, float]]

BUCKETS = 400
"""More would be finer than the pictures' pixels."""
DRAWABLE = 1e12
"""Beyond this a loss says only that training diverged, and no axis can show it."""


@dataclass(frozen=True)
class Curves:
    """What the picture shows: points are (step, value), losses in nats per token."""

    train: Points
    smoothed: Points
    valid: Points
    best: tuple[float, float] | None
    rates: Points
    seconds: Points
    left_out: int
    """How many losses are no finite number, or beyond what can be drawn."""
    metric: str = ""
    """The metric by which the best is chosen, or else the first one that there is."""
    measured: Points = field(default_factory=list)
    measured_best: tuple[float, float] | None = None
    """The best as `metric` has it, where the best is chosen by it."""


def curves_of(run: RunFiles) -> Curves:
    """The curves of a run, with at most some hundreds of points each."""
    train, train_left_out = _points(run.train, "loss")
    valid, valid_left_out = _points(run.valid, "nats_per_token")
    means = thin_to_means(train)
    rates, _ = _points(run.train, "learning_rate")
    metric, chosen = _metric(run)
    measured, _ = _points([_measured(event) for event in run.valid], metric)
    return Curves(
        train=thin_to_extremes(train),
        smoothed=smooth(means, reach=len(means) // 40),
        valid=thin_to_means(valid),
        best=_at(best_step(run), valid),
        rates=thin_to_means(rates),
        seconds=_clock(run),
        left_out=train_left_out + valid_left_out,
        metric=metric if measured else "",
        measured=thin_to_means(measured),
        measured_best=_at(best_step(run), measured) if chosen else None,
    )


def _at(step: float | None, points: Points) -> tuple[float, float] | None:
    return next((point for point in points if point[0] == step), None)


def _measured(event: Record) -> Record:
    """The metrics of a validation, with its step."""
    return {**record(event, "metrics"), "step": event.get("step")}


def _metric(run: RunFiles) -> tuple[str, bool]:
    """The metric whose value, or its opposite where more is better, was each `criterion`; where
    none was, the first one, and False."""
    if not run.valid:
        return "", False
    criteria = [number(event, "criterion") for event in run.valid]
    names = list(record(run.valid[-1], "metrics"))
    for name in names:
        values = [number(record(event, "metrics"), name) for event in run.valid]
        if None not in values and all(
            criterion in (value, -(value or 0.0))
            for criterion, value in zip(criteria, values, strict=True)
        ):
            return name, True
    return (names[0] if names else ""), False


def best_step(run: RunFiles) -> float | None:
    """The step of the validation that the run last called its best, or else of the lowest."""
    valid, _ = _points(run.valid, "nats_per_token")
    marked = {number(event, "step") for event in run.valid if event.get("best") is True}
    best = [step for step, _ in valid if step in marked][-1:]
    best += [min(valid, key=lambda point: point[1])[0]] if valid else []
    return best[0] if best else None


def thin_to_extremes(points: Points) -> Points:
    """Each bucket's lowest and highest point, so that no spike is lost."""
    thinned: Points = []
    for bucket in _buckets(points):
        ends = {
            min(bucket, key=lambda point: point[1]),
            max(bucket, key=lambda point: point[1]),
        }
        thinned += sorted(ends)
    return thinned


def thin_to_means(points: Points) -> Points:
    """Each bucket's mean point."""
    return [_mean(bucket) for bucket in _buckets(points)]


def smooth(points: Points, reach: int) -> Points:
    """The mean of each value with up to `reach` neighbours on either side.

    Both sides count alike and shrink towards the ends: so the curve has no lag, and begins and ends
    where the values do.
    """
    smoothed: Points = []
    for index, (step, _) in enumerate(points):
        side = min(reach, index, len(points) - 1 - index)
        smoothed.append((step, _mean(points[index - side : index + side + 1])[1]))
    return smoothed


def _buckets(points: Points) -> list[Points]:
    size = math.ceil(len(points) / BUCKETS) or 1
    return [points[start : start + size] for start in range(0, len(points), size)]


def _mean(points: Points) -> tuple[float, float]:
    steps, values = zip(*points, strict=True)
    return sum(steps) / len(points), sum(values) / len(points)


def _points(found: Sequence[Record], key: str) -> tuple[Points, int]:
    points: Points = []
    left_out = 0
    for event in found:
        step, value = number(event, "step"), number(event, key)
        if step is None or value is None:
            continue
        if abs(value) < DRAWABLE and abs(step) < DRAWABLE:
            points.append((step, value))
        else:
            left_out += 1
    return points, left_out


def _clock(run: RunFiles) -> Points:
    """(step, seconds since the start), empty unless time goes forward with the steps."""
    for found in (run.train, run.valid):
        points, _ = _points(found, "seconds")
        forward = all(a[1] <= b[1] for a, b in pairwise(points))
        if forward and len(points) > 1 and points[0][1] < points[-1][1]:
            return thin_to_means(points)
    return []
