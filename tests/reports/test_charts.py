import math
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqgen.reports import charts
from seqgen.reports.charts import (
    BUCKETS,
    curves_of,
    learning_curves,
    smooth,
    thin_to_extremes,
    thin_to_means,
    time_ticks,
)
from seqgen.reports.run_files import Figures, RunFiles


def draw(layout, ink=charts.BLUE):
    figure = charts.blank(layout)
    axes = figure.subplots()
    axes.plot([1, 2, 3], [3, 1, 2], color=ink, gid="line", label="a < b")
    axes.set_title("$x_1$")
    axes.grid()
    axes.legend()
    return figure


def test_a_chart_in_a_page_has_its_colours_and_fonts_and_says_what_it_shows():
    picture = charts.svg(draw, 'of "x" & y', titles={"line": "1 < 2"})
    root = ElementTree.fromstring(picture)
    assert (root.get("role"), root.get("aria-label")) == ("img", 'of "x" & y')
    assert root.get("width") is None
    assert "var(--blue)" in picture
    assert "font-family" not in picture
    assert not any(colour in picture for colour in (charts.BLUE, charts.INK, charts.MUTED))
    texts = [element.text for element in root.iter("text")]
    assert {"a < b", "$x_1$"} <= set(texts)  # texts stay texts, and are not read as formulas
    assert [title.text for title in root.iter("title")] == ["1 < 2"]


def test_two_charts_in_a_page_share_no_ids():
    pictures = [charts.svg(draw, "x"), charts.svg(lambda layout: draw(layout, charts.GREEN), "x")]
    roots = [ElementTree.fromstring(picture) for picture in pictures]
    ids = [element.get("id") for root in roots for element in root.iter() if element.get("id")]
    assert len(ids) == len(set(ids)) > 2
    used = {element.get("href", "#")[1:] for root in roots for element in root.iter()} - {""}
    assert used <= set(ids)


@pytest.mark.parametrize(
    ("kind", "start"), [("png", b"\x89PNG"), ("pdf", b"%PDF"), ("svg", b"<?x")]
)
def test_the_same_chart_has_the_same_bytes_as_a_file(kind, start):
    assert charts.picture(draw, kind).startswith(start)
    assert charts.picture(draw, kind) == charts.picture(draw, kind)


def test_a_person_s_own_style_changes_nothing():
    before = charts.svg(draw, "x")
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "red", "text.usetex": True}):
        assert charts.svg(draw, "x") == before
        assert matplotlib.rcParams["font.size"] == 30


def test_labels_that_no_font_or_no_place_has():
    assert charts.drawable("phoneme error rate of \u4eac\x00") == "phoneme error\nrate of ??"


POINTS = st.lists(st.floats(-100, 100), min_size=1).map(
    lambda values: np.array(list(enumerate(values)), dtype=float)
)


def run_of(train=(), valid=()):
    return RunFiles("run", train=tuple(map(figures, train)), valid=tuple(map(figures, valid)))


def figures(values):
    return Figures.model_validate(values)


def test_values_that_cannot_be_drawn_are_counted_and_left_out():
    losses = [3.0, math.nan, math.inf, 1e30, None, 2.0]
    train = [{"step": step, "loss": loss} for step, loss in enumerate(losses)]
    curves = curves_of(run_of(train, [{"step": 5, "nats_per_token": -math.inf}]))
    assert curves.train.tolist() == curves.smoothed.tolist() == [[0, 3.0], [5, 2.0]]
    assert (curves.left_out, len(curves.valid), curves.best) == (4, 0, None)


def test_a_long_run_is_thinned_and_keeps_its_spike():
    train = [{"step": step, "loss": 50.0 if step == 54_321 else 1.0} for step in range(100_000)]
    curves = curves_of(run_of(train))
    assert [54_321, 50.0] in curves.train.tolist()
    assert len(curves.train) <= 2 * BUCKETS
    assert len(curves.smoothed) <= BUCKETS


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [((1, 2, 3), 3), ((1, 3, 2), 0), ((1, 1, 1), 0), ((1, None, 2), 2), ((), 0)],
)
def test_the_clock_must_go_forward(seconds, shown):
    train = [{"step": step, "loss": 1.0, "seconds": time} for step, time in enumerate(seconds)]
    assert len(curves_of(run_of(train)).seconds) == shown


@given(POINTS, st.integers(0, 20))
def test_smoothing_stays_within_the_values_and_keeps_the_ends(points, reach):
    smoothed = smooth(points, reach)
    assert (smoothed[:, 0] == points[:, 0]).all()
    assert smoothed[[0, -1]].tolist() == points[[0, -1]].tolist()
    assert smoothed[:, 1].min() >= points[:, 1].min() - 1e-9
    assert smoothed[:, 1].max() <= points[:, 1].max() + 1e-9


def test_smoothing_leaves_a_straight_line_straight():
    line = np.array([[step, 2.0 * step] for step in range(30)])
    assert smooth(line, 5).tolist() == line.tolist()


@given(POINTS)
def test_few_points_are_not_thinned(points):
    assert thin_to_means(points).tolist() == thin_to_extremes(points).tolist() == points.tolist()


BLEU = [{"bleu": 3.0}, {"bleu": 4.0}]
MATCH = [{"bleu": 10.0, "exact_match": 0.25}, {"bleu": 12.0, "exact_match": 0.5}]


@pytest.mark.parametrize(
    ("metrics", "criteria", "name", "values", "best"),
    [
        (MATCH, [-0.25, -0.5], "exact_match", [0.25, 0.5], (1, 0.5)),  # it chose the best
        (BLEU, [0.7, 0.6], "bleu", [3.0, 4.0], None),  # else the first metric, without a best
        ([{}], [1.0], "", [], None),
        ([{"bleu": None}], [1.0], "", [], None),
        ([{"bleu": math.nan}], [1.0], "", [], None),
    ],
)
def test_the_metric_that_chose_the_best_has_a_curve(metrics, criteria, name, values, best):
    valid = [
        {"step": step, "nats_per_token": 1.0, "metrics": each, "criterion": criterion}
        for step, (each, criterion) in enumerate(zip(metrics, criteria, strict=True))
    ]
    valid[-1]["best"] = True
    curves = curves_of(run_of(valid=valid))
    assert (curves.metric, curves.measured[:, 1].tolist(), curves.measured_best) == (
        name,
        values,
        best,
    )


@pytest.mark.parametrize(
    "losses",
    [[3.0], [3.0, 2.0], [math.nan] * 3, [2.0] * 50, [0.0] * 50, [-1.0] * 50, [1e11, 1e-11] * 20],
)
@pytest.mark.parametrize("share", [None, 0.5, 7.0])
def test_curves_of_every_shape_can_be_drawn(losses, share):
    train = [
        {"step": step, "loss": loss, "learning_rate": 0.0, "seconds": step}
        for step, loss in enumerate(losses)
    ]
    metrics = {} if share is None else {"exact_match": share}
    valid = [{"step": 0, "nats_per_token": 2.0, "metrics": metrics, "criterion": share}]
    run = run_of(train, valid if len(losses) < 50 else [])
    assert charts.svg(learning_curves(curves_of(run)), "curves").startswith("<svg")


@given(st.lists(st.floats(0, 1e7), min_size=2, unique=True).map(sorted), st.sampled_from([4, 6, 8]))
def test_time_ticks_are_few_and_within_the_run(times, most):
    ticks = time_ticks(np.array(list(enumerate(times)), dtype=float), most)
    assert len(ticks) <= most + 1
    assert all(0 <= step <= len(times) - 1 for step, _ in ticks)


@pytest.mark.parametrize(
    ("last", "times"),
    [
        (2.1, [0, 0.5, 1, 1.5, 2]),
        (95, [0, 20, 40, 60, 80]),
        (1700, [0, 300, 600, 900, 1200, 1500]),
        (20 * 3600, [0, 5 * 3600, 10 * 3600, 15 * 3600, 20 * 3600]),
    ],
)
def test_times_on_the_axis_are_round(last, times):
    assert [time for _, time in time_ticks(np.array([[0, 0], [9, last]], dtype=float), 6)] == times
