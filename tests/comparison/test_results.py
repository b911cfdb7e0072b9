"""Results: values with their timings, how they are written, and the table as plain text."""

from dataclasses import replace

import pytest

from seqgen.comparison import Measure, terminal_rows

DASH = "\u2013"
SHARE = Measure("m", "m", "quality", "lower", "share", "")
NATS = Measure("m", "m", "score", None, "nats", "")
BYTES = Measure("m", "m", "memory", "lower", "bytes", "")
ROWS = Measure("m", "rows per input", "work", "lower", "rows", "")
SPEED = Measure("m", "m", "speed", "higher", "", "")


@pytest.mark.parametrize(
    ("measure", "value", "in_table", "in_text"),
    [
        (SHARE, 0.2432, "24.32", "24.32 %"),
        (SHARE, None, DASH, DASH),
        (NATS, -0.052, "-0.05200", "-0.05200 nats"),  # as many digits as its neighbours
        (NATS, -1.5, "-1.500", "-1.500 nats"),
        (BYTES, 2_345_000, "2.345", "2.345 MB"),
        (SPEED, 1_234_567, "1.23 M", "1.23 M"),
        (ROWS, 12, "12.00", "12.00"),  # the title says what is counted
    ],
)
def test_a_value_in_a_table_and_in_words(measure, value, in_table, in_text):
    assert measure.written(value) == in_table
    assert measure.in_words(value) == in_text


def test_spans_and_headers():
    assert SHARE.span((0.1, 0.2)) == "10.00\u201320.00"
    assert NATS.span((-0.3, -0.2)) == "-0.3000 to -0.2000"  # no two dashes side by side
    assert [each.header for each in (SHARE, SPEED, NATS)] == ["m, % \u2193", "m \u2191", "m, nats"]


@pytest.mark.parametrize(
    ("p_holm", "better", "alpha", "found"),
    [
        (0.01, "lower", 0.05, "better"),
        (0.01, "higher", 0.05, "worse"),
        (0.01, None, 0.05, "different"),
        (0.5, "lower", 0.5, ""),
        (None, "lower", 0.05, ""),
    ],
)
def test_what_a_difference_from_the_baseline_means(p_holm, better, alpha, found, small, pronounced):
    change = {"delta": -0.1, "low": None, "high": None, "p_value": 0.001, "p_holm": p_holm}
    changes, systems = {"a": change, "b": {**change, "delta": None}}, {"a": {"error": 1}, "b": {}}
    significance = {**pronounced["plan"]["significance"], "level": 1 - alpha}
    plan = {**pronounced["plan"], "significance": significance}
    results = small(systems, changes, plan=plan)
    measure = replace(results.quality, better=better)
    known, unknown = (results.document.system(label) for label in "ab")
    assert results.verdict_on(known, measure) == found
    assert results.verdict_on(unknown, measure) == ""


def test_a_value_may_have_an_interval_and_a_spread(small):
    value = {"value": 2, "low": 1, "high": 3, "by_seed": [1.5, None, 2.5]}
    results = small({"a": {"error": value}, "b": {"error": {"value": None}}})
    found = results.values["a"]["error"]
    assert (found.interval, found.spread, found.spread_of) == ((1, 3), (1.5, 2.5), "2 seeds")
    assert found.range == (1, 3)
    assert results.values["b"] == {}
    [found] = small({"a": {"error": {"value": 2, "low": 1, "by_seed": [2]}}}).values["a"].values()
    assert (found.interval, found.spread, found.range) == (None, None, (2, 2))


def test_what_was_timed_is_a_measure_like_the_others(small, pronounced):
    timing = pronounced["timings"]["systems"]["greedy"]
    timing |= {"sequences_per_second": 16, "tokens_per_second": None, "calls": 9}
    timing["seconds"] = {"min": 1, "median": 2, "max": 4}
    timings = {**pronounced["timings"], "systems": {"a": timing}}
    results = small({"a": {"error": 0.5}, "b": {"error": 0.25}}, timings=timings)
    assert list(results.measures)[1:] == ["sequences_per_second", "calls", "peak_bytes"]
    values = results.values["a"]
    assert values["sequences_per_second"].spread == (8, 32)
    assert values["sequences_per_second"].spread_of == "3 repeats"
    assert values["calls"].spread is None
    assert list(results.values["b"]) == ["error"]


def test_the_leading_measures_have_stand_ins(read, pronounced, prose):
    leading, others = ([each.id for each in read(one).leading()] for one in (pronounced, prose))
    assert leading[:3] == ["phoneme_error_rate", "log_prob_per_token", "distinct_2"]
    assert leading[3:] == ["length_ratio", "finished", "sequences_per_second"]
    assert others[3:] == ["mean_length", "finished", "rows_per_input"]


def test_a_measure_that_is_the_same_for_all_distinguishes_nothing(read, pronounced):
    results = read(pronounced)
    assert not results.distinguishes(results.measures["finished"])
    assert results.distinguishes(results.measures["distinct_2"])
    for each in pronounced["systems"]:
        each["values"]["phoneme_error_rate"] = {"value": 0.5}
    results = read(pronounced)
    assert results.distinguishes(results.quality)  # what systems are ranked by is always kept


def test_the_best_quality_comes_first_with_its_interval_and_its_mark(small):
    change = {"delta": -0.25, "low": None, "high": None, "p_value": 0.001, "p_holm": 0.004}
    systems = {
        "greedy": {"error": {"value": 0.5, "low": 0.4, "high": 0.625}},
        "beam": {"error": 0.25},
        "lost": {},
    }
    results = small(systems, {"beam": change}, baseline="greedy", take="beam")
    table = results.plain_table([results.quality])
    assert table.headers == ["strategy", "error, % \u2193"]
    assert table.rows == [
        ["beam (recommended)", "25.00 \u25b2"],
        ["greedy (baseline)", "50.00 (40.00\u201362.50)"],
        ["lost", DASH],
    ]
    results = small(systems, {"beam": change}, baseline="beam", take="beam")
    assert results.plain_table([]).rows[0] == ["beam (recommended, baseline)"]


def test_the_table_of_a_terminal(read, pronounced):
    headers, rows = terminal_rows(read(pronounced).document)
    assert headers[1:3] == ["phoneme error rate, % \u2193", "log-probability per token, nats"]
    assert len(rows) == 15
    assert rows[-1] == ["references", DASH, "-0.3100", "21.66", DASH, DASH, DASH]


def test_labels_show_what_would_act_in_a_terminal(small):
    results = small({"\x1b[31m[/x]\u202e": {"error": 0.5}})
    assert terminal_rows(results.document)[1][0][0] == "\\x1b[31m[/x]\\u202e"
