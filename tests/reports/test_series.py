import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

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


def valid_with(metrics: list[dict[str, float]], criteria: list[float]) -> list[dict[str, object]]:
    return [
        {"step": step, "nats_per_token": 1.0, "metrics": each, "criterion": criterion}
        for step, (each, criterion) in enumerate(zip(metrics, criteria, strict=True))
    ]


def test_the_metric_that_chose_the_best_has_a_curve() -> None:
    metrics = [{"bleu": 10.0, "exact_match": 0.25}, {"bleu": 12.0, "exact_match": 0.5}]
    valid = valid_with(metrics, [-0.25, -0.5])
    valid[1]["best"] = True
    curves = curves_of(run_of([], valid))
    assert curves.metric == "exact_match"
    assert curves.measured == [(0, 0.25), (1, 0.5)]
    assert curves.measured_best == (1, 0.5)


def test_else_the_first_metric_has_one_without_a_best() -> None:
    curves = curves_of(run_of([], valid_with([{"bleu": 3.0}, {"bleu": 4.0}], [0.7, 0.6])))
    assert (curves.metric, curves.measured) == ("bleu", [(0, 3.0), (1, 4.0)])
    assert curves.measured_best is None


@pytest.mark.parametrize("metrics", [{}, {"bleu": None}, {"bleu": math.nan}, "x", None])
def test_metrics_that_are_not_there_have_none(metrics: object) -> None:
    valid = [{"step": 1, "nats_per_token": 1.0, "metrics": metrics, "criterion": 1.0}]
    curves = curves_of(run_of([], valid))
    assert (curves.metric, curves.measured, curves.measured_best) == ("", [], None)
