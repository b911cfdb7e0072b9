import re

from seqgen.reports.comparison.measures import Measure, Value
from seqgen.reports.comparison.panels import Line, legend, option_axis, panel

MEASURE = Measure("m", "error", "quality", "lower", "share")


def test_an_option_has_ticks_at_its_own_values_and_a_log_scale_where_it_goes_far():
    axis = option_axis([1, 50, 5], "beam_size")
    assert axis.ticks == (1, 5, 50)
    assert axis.title == "beam_size, log scale"
    axis = option_axis([0.3, 1.0], "temperature")
    assert not axis.log
    assert axis.texts == ("0.3", "1")
    assert option_axis([2.0], "n").share(2.0) == 0.5
    assert not option_axis([0, 10], "k").log


def test_a_panel_draws_lines_bands_and_the_references_within_its_frame():
    points = [(1.0, Value(0.5, 0.25, 0.75)), (2.0, Value(0.25, 0.125, 0.5))]
    svg = panel(MEASURE, "n", [Line("run", 0, points)], level=0.0625)
    assert svg.count("<polyline") == 1
    assert svg.count('class="reference"') == 1
    assert "<title>run, n 2: 25.00 %</title>" in svg
    [band] = re.findall(r'<polygon class="band s0" points="([^"]*)"', svg)
    heights = [float(pair.split(",")[1]) for pair in band.split()]
    assert len(heights) == 4
    assert min(heights) >= 10  # the frame begins there
    assert max(heights) <= 215 - 46


def test_where_there_is_no_interval_the_band_is_the_spread():
    points = [(1.0, Value(0.5, spread=(0.25, 0.75))), (2.0, Value(0.25))]
    assert '<polygon class="band' in panel(MEASURE, "n", [Line("run", 0, points)])
    assert "<polygon" not in panel(MEASURE, "n", [Line("run", 0, [(1.0, Value(0.5))])])


def test_one_line_needs_no_legend():
    assert legend(["one"]) == ""
    assert legend(["one", "<two>"]).count("<li>") == 2
    assert "<two>" not in legend(["one", "<two>"])
