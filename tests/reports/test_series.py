import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqgen.reports.curves import time_ticks
from seqgen.reports.run_files import RunFiles
from seqgen.reports.series import (
    BUCKETS,
    best_step,
    curves_of,
    smooth,
    thin_to_extremes,
    thin_to_means,
)

POINTS = st.lists(st.floats(-100, 100), min_size=1).map(lambda values: list(enumerate(values)))


def run_of(train: list[dict[str, object]], valid: list[dict[str, object]]) -> RunFiles:
    return RunFiles("run", "", {}, tuple(train), tuple(valid), {}, (), ())


def test_values_that_cannot_be_drawn_are_counted_and_left_out() -> None:
    losses = [3.0, math.nan, math.inf, 1e30, None, "2", True, 2.0]
    train = [{"step": step, "loss": loss} for step, loss in enumerate(losses)]
    curves = curves_of(run_of(train, [{"step": 5, "nats_per_token": -math.inf}]))
    assert curves.train == curves.smoothed == [(0, 3.0), (7, 2.0)]
    assert curves.left_out == 4
    assert curves.valid == []
    assert curves.best is None


def test_a_long_run_is_thinned_and_keeps_its_spike() -> None:
    train: list[dict[str, object]] = [{"step": step, "loss": 1.0} for step in range(100_000)]
    train[54_321]["loss"] = 50.0
    curves = curves_of(run_of(train, []))
    assert (54_321, 50.0) in curves.train
    assert len(curves.train) <= 2 * BUCKETS
    assert len(curves.smoothed) <= BUCKETS


@pytest.mark.parametrize(
    ("marks", "best"), [((True, True, False), 2), ((False, False, False), 3), ((), None)]
)
def test_the_best_is_the_run_s_own_or_else_the_lowest(
    marks: tuple[bool, ...], best: float | None
) -> None:
    valid: list[dict[str, object]] = [
        {"step": step, "nats_per_token": 5.0 - step, "best": mark}
        for step, mark in enumerate(marks, start=1)
    ]
    assert best_step(run_of([], valid)) == best


def test_a_best_that_is_not_a_number_is_none() -> None:
    valid = [
        {"step": 1, "nats_per_token": math.nan, "best": True},
        {"step": 2, "nats_per_token": 3.0},
    ]
    assert best_step(run_of([], valid)) == 2


@pytest.mark.parametrize(
    ("seconds", "shown"), [((1, 2, 3), 3), ((1, 3, 2), 0), ((1, 1, 1), 0), ((1, None, 2), 2)]
)
def test_the_clock_must_go_forward(seconds: tuple[float | None, ...], shown: int) -> None:
    train = [{"step": step, "loss": 1.0, "seconds": time} for step, time in enumerate(seconds)]
    assert len(curves_of(run_of(train, [])).seconds) == shown


@given(POINTS, st.integers(0, 20))
def test_smoothing_stays_within_the_values_and_keeps_the_ends(
    points: list[tuple[float, float]], reach: int
) -> None:
    values = [value for _, value in points]
    smoothed = smooth(points, reach)
    assert [step for step, _ in smoothed] == [step for step, _ in points]
    assert (smoothed[0], smoothed[-1]) == (points[0], points[-1])
    assert all(min(values) - 1e-9 <= value <= max(values) + 1e-9 for _, value in smoothed)


def test_smoothing_leaves_a_straight_line_straight() -> None:
    line = [(float(step), 2.0 * step) for step in range(30)]
    assert smooth(line, 5) == line


@given(POINTS)
def test_few_points_are_not_thinned(points: list[tuple[float, float]]) -> None:
    assert thin_to_means(points) == thin_to_extremes(points) == points


@given(st.lists(st.floats(0, 1e7), min_size=2, unique=True).map(sorted), st.sampled_from([4, 6, 8]))
def test_time_ticks_are_few_and_within_the_run(times: list[float], most: int) -> None:
    seconds = [(float(step), time) for step, time in enumerate(times)]
    ticks = time_ticks(seconds, most)
    assert len(ticks) <= most + 1
    assert all(0 <= step <= len(times) - 1 for step, _ in ticks)
