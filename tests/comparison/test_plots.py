"""Plots: what is on a front, what a chart draws where, and the charts as SVG and PDF."""

from xml.etree import ElementTree

import pytest

from seqgen.comparison import plots
from seqgen.comparison.document import Measure
from seqgen.comparison.measures import MEASURES
from seqgen.comparison.plots import (
    HALF,
    PANEL,
    as_pdf,
    best_of,
    curve_points,
    drawn_from,
    option_curves,
    pareto_front,
    trade_offs,
)
from seqgen.reports import charts


@pytest.fixture
def four(small):
    """A function to four strategies: c is behind b at both, d is behind a; of work a is the best at
    quality, b has the least, and that of c is unknown."""
    names = ("error", "distinct_2", "rows_per_input")
    rows = {"a": (0.1, 0.5, 10), "b": (0.2, 0.7, 5), "c": (0.3, 0.6, None), "d": (0.15, 0.5, 20)}
    systems = {label: dict(zip(names, values, strict=True)) for label, values in rows.items()}
    return lambda **changed: small(systems, **{"take": "d", **changed})


def drawn(chart, layout=HALF):
    """The axes of a chart."""
    with charts.style(layout):
        [axes] = chart.draw(layout).axes
        return axes


def dashed(axes):
    return [line for line in axes.lines if line.get_linestyle() == "--"]


def on_front(trade):
    return [[system.label for system in spot.systems] for spot in trade.front]


@pytest.mark.parametrize(
    ("points", "front"),
    [
        ([(1, 3), (2, 2), (3, 1), (1, 1), (2, 1)], [0, 1, 2]),  # worse at both
        ([(1, 3), (1, 2)], [0]),  # as good at one and worse at the other
        ([(1, 1), (1, 1)], [0, 1]),
        ([], []),
    ],
)
def test_the_pareto_front(points, front):
    assert pareto_front(points) == front


def test_the_front_is_of_what_is_better_whichever_way_that_is(four):
    diversity, work = trade_offs(four())
    assert on_front(diversity) == on_front(work) == [["a"], ["b"]]
    assert [spot.number for spot in diversity.spots] == [1, 2, 0, 0]
    assert len(work.systems) == 3
    assert diversity.chart().title == "Error and distinct"


def test_systems_with_the_same_values_share_a_spot(small):
    same = {"error": 0.1, "distinct_2": 0.5}
    [trade] = trade_offs(small({"a": same, "b": same, "c": {**same, "error": 0.2}}))
    assert on_front(trade) == [["a", "b"]]


def test_a_trade_off_says_what_each_mark_is_and_its_better_ends_are_up_and_right(four):
    diversity, work = (trade.chart() for trade in trade_offs(four()))
    assert diversity.titles["system3"] == "d: error 15.00 %, distinct 0.5000"
    assert len(diversity.titles) == 4
    axes = drawn(diversity)
    assert axes.yaxis_inverted()
    assert not axes.xaxis_inverted()
    assert axes.get_ylabel() == "error, % (lower is better)"
    assert axes.get_xlabel() == "distinct (higher is more diverse)"
    marks = {line.get_gid(): line for line in axes.lines if line.get_gid()}
    first, _, dull, taken = (marks[f"system{place}"] for place in range(4))
    assert taken.get_markerfacecolor() == charts.GREEN
    assert taken.get_markersize() > first.get_markersize() > dull.get_markersize()
    assert dull.get_markerfacecolor() == charts.PAPER
    assert {text.get_text() for text in axes.texts} == {"1", "2", "recommended"}
    assert drawn(work).get_xlabel() == "work (lower is better), log scale"


def test_the_references_are_a_dashed_line_where_they_are_known(four):
    known = {"values": {"distinct_2": {"value": 0.9}}}
    one, other = (drawn(trade_offs(four(references=each))[0].chart()) for each in (known, None))
    [line] = dashed(one)
    assert list(line.get_xdata()) == [0.9, 0.9]
    assert dashed(other) == []


def test_there_is_no_plot_of_one_point_or_without_quality(small, four):
    assert trade_offs(small({"a": {"error": 0.1, "distinct_2": 0.5}})) == []
    assert trade_offs(four(quality=None)) == []


def test_several_runs_have_marks_of_their_own(pronounced, read):
    pronounced["runs"].append(pronounced["runs"][0] | {"name": "two"})
    pronounced["systems"][1]["run"] = "two"
    axes = drawn(trade_offs(read(pronounced))[0].chart())
    marks = {line.get_gid(): line.get_marker() for line in axes.lines}
    assert [marks[f"system{place}"] for place in range(3)] == ["o", "s", "o"]


def test_where_nothing_was_timed_work_stands_for_it(pronounced, read):
    for timings, speed in (
        (pronounced["timings"], "sequences_per_second"),
        (None, "rows_per_input"),
    ):
        trades = trade_offs(read({**pronounced, "timings": timings}))
        assert [trade.other.id for trade in trades] == ["distinct_2", speed]


def panel(option, points, group="score", unit="", name="m", better=None):
    """A panel of one line."""
    measure = Measure(name, name, group, better, unit, "")
    return plots._panel(measure, option, [plots.Line("run", points)])


@pytest.mark.parametrize("values", [[0.0], [0.0, 0.0], [5.0], [-3.0], [1e-9, 2e-9], [0.0, 3.0]])
@pytest.mark.parametrize(("group", "unit"), [("quality", ""), ("work", ""), ("score", "share")])
def test_an_axis_of_any_values_holds_them(values, group, unit):
    points = [(float(place), plots.Result(value)) for place, value in enumerate(values)]
    low, high = sorted(drawn(panel("n", points, group, unit), PANEL).get_ylim())
    assert low < high
    assert unit == "share" or all(low <= value <= high for value in values)


def test_no_tick_is_where_no_share_can_be(small):
    systems = {"a": {"error": 0.5, "distinct_2": 0.1}, "b": {"error": 1.0, "distinct_2": 0.2}}
    axes = drawn(trade_offs(small(systems))[0].chart())
    assert sorted(axes.get_ylim())[1] == 100
    assert axes.get_ylim()[0] == 100  # the better end is up


@pytest.mark.parametrize(
    ("own", "scale", "ticks"),
    [
        ([1, 5, 50], "log", ["1", "5", "50"]),
        ([0.3, 1.0], "linear", ["0.3", "1"]),
        ([0, 10], "linear", ["0", "10"]),
        ([2.0], "linear", ["2"]),
        (list(range(1, 15)), "log", ["1", "3", "5", "7", "9", "11", "13"]),
    ],
)
def test_an_option_has_ticks_at_its_own_values_and_a_log_scale_where_it_goes_far(own, scale, ticks):
    axes = drawn(panel("k", [(float(at), plots.Result(0.5)) for at in own]))
    assert axes.get_xscale() == scale
    assert [label.get_text() for label in axes.get_xticklabels()] == ticks
    assert axes.get_xlabel() == ("k, log scale" if scale == "log" else "k")


@pytest.mark.parametrize(
    ("results", "bands"),
    [
        ([plots.Result(0.5, (0.25, 0.75)), plots.Result(0.25, (0.125, 0.5))], 1),
        ([plots.Result(0.5, spread=(0.25, 0.75)), plots.Result(0.25)], 1),
        ([plots.Result(0.5), plots.Result(0.25)], 0),
    ],
)
def test_intervals_or_spreads_are_bands(results, bands):
    points = list(enumerate(results, 1))
    chart = panel("n", points, "quality", "share", "error", "lower")
    axes = drawn(chart, PANEL)
    assert len(axes.collections) == bands
    assert chart.titles["point0-1"] == "run, n: 25.00 % at 2"
    assert chart.about == "error, % \u2193 against n: run 50.00 % at 1 to 25.00 % at 2"
    assert axes.get_ylabel() == ""  # it stands above the panel
    assert drawn(chart, charts.FILE).get_ylabel() == "error, % (lower is better)"


def test_the_curves_of_all_runs_of_an_option_are_one(pronounced, read):
    points = [{"at": 1, "label": "beam beam_size=2"}, {"at": 3, "label": "exact"}]
    beam = {"option": "beam_size", "name": "beam", "run": "one", "points": points}
    other = {**beam, "option": "temperature", "name": "multinomial"}
    pronounced["curves"] = [beam, other, {**beam, "run": "two"}]
    results = read(pronounced)
    first, second = option_curves(results)
    assert (first.title, list(first.names)) == ("beam_size of beam", ["one", "two"])
    assert second.title == "temperature of multinomial"
    # What the option leaves as it is has no panel: all of them finish.
    assert not any("finished" in chart.title for chart in first.charts)
    assert len(drawn(first.charts[0], PANEL).collections) == 2
    [probable] = [each for each in first.charts if each.title.startswith("log-probability")]
    assert len(dashed(drawn(probable, PANEL))) == 1  # what the references have
    lengths = results.measures["length_ratio"]
    values = curve_points(results, results.document.curves[0], lengths)
    assert [(at, result.value) for at, result in values] == [(1, 0.993), (3, 0.984)]
    assert option_curves(read({**pronounced, "curves": []})) == []


def test_the_best_of_n_has_a_line_for_each_way_of_choosing(pronounced, read):
    pronounced["best_of"]["by_run"][0]["points"][1]["oracle"]["phoneme_error_rate"] = None
    found = best_of(read(pronounced))
    assert found.names == ["by the model's score", "by the references"]
    [chart] = found.charts
    assert chart.titles["point1-3"] == "by the references, n: 3.03 % at 16"
    assert len(chart.titles) == 5 + 4  # one is unknown
    for point in pronounced["best_of"]["by_run"][0]["points"]:
        point["oracle"]["bleu"] = point["by_score"]["word_error_rate"] = None  # known of none
    assert len(best_of(read(pronounced)).charts) == 1
    pronounced["best_of"]["by_run"] *= 2
    assert best_of(read(pronounced)).names[2] == "g2p, by the model's score"
    assert best_of(read({**pronounced, "best_of": None})) is None


def test_a_chart_as_svg_has_its_titles(four):
    chart = trade_offs(four())[0].chart()
    root = ElementTree.fromstring(chart.svg(HALF))
    titles = [each.text for each in root.iter() if each.tag.endswith("title")]
    assert sorted(titles) == sorted(chart.titles.values())
    assert root.get("aria-label") == "error against distinct of 4 strategies"


def test_all_charts_are_had_as_pdf(four):
    results = four()
    pdf = as_pdf(results)
    assert pdf.startswith(b"%PDF")
    assert pdf.count(b"/Type /Page\n") + pdf.count(b"/Type /Page ") == 2
    assert as_pdf(results) == pdf


def test_what_is_drawn_from_has_a_line_for_each_of_the_best_that_draw(four):
    one = {"kl_to_model": 0.1, "mass_cut": 0.2, "drawn_entropy": 2.0}
    points = [{"position": at, **one} for at in (1.5, 40.0)]
    found = four(drawn=[{"label": label, "points": points} for label in "cba"])
    shown = {each.id: each for each in MEASURES if each.id in ("kl_to_model", "mass_cut")}
    found.measures.update(shown)
    panels = drawn_from(found)
    assert [chart.title for chart in panels.charts] == [each.header for each in shown.values()]
    assert panels.names == [each.label for each in found.systems if each.label != "d"]
    axes = drawn(panels.charts[0])
    assert axes.get_xscale() == "linear"
    assert list(axes.lines[0].get_xdata()) == [1.5, 40]
    assert drawn_from(four()) is None
