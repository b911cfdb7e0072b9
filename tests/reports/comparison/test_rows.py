from seqgen.reports.comparison.document import Change
from seqgen.reports.comparison.measures import Measure
from seqgen.reports.comparison.rows import terminal_rows, verdict_on

DASH = "\u2013"


def small(**more):
    """Two strategies with an error rate each, the second one significantly better."""
    return {
        "measures": {
            "wer": {"title": "errors", "group": "quality", "better": "lower", "unit": "share"}
        },
        "quality": "wer",
        "baseline": "greedy",
        "systems": [
            {"label": "greedy", "values": {"wer": {"value": 0.5, "low": 0.4, "high": 0.625}}},
            {
                "label": "beam",
                "values": {"wer": {"value": 0.25}},
                "against_baseline": {"wer": {"delta": -0.25, "p_value": 0.001, "p_holm": 0.004}},
            },
        ],
        "verdict": {"take": "beam"},
        **more,
    }


def test_the_best_quality_comes_first_with_its_interval_and_its_mark():
    headers, rows = terminal_rows(small())
    assert headers == ["strategy", "errors, % ↓"]
    assert rows == [["beam (take)", "25.00 ▲"], ["greedy (baseline)", "50.00 (40.00\u201362.50)"]]


def test_the_columns_that_tell_most_and_the_references(pronounced, told):
    headers, rows = terminal_rows(pronounced)
    assert [header.split(",")[0].rstrip(" ↓↑") for header in headers] == [
        "strategy",
        "phoneme error rate",
        "log-probability per token",
        "distinct 2-grams",
        "length to the reference's",
        "finished",
        "sequences per second",
    ]
    assert len(rows) == 15
    assert rows[-1] == ["references", DASH, "-0.3100", "21.66", DASH, DASH, DASH]
    headers, rows = terminal_rows(told)
    assert headers[4] == "length, tokens"
    assert headers[-1] == "rows read for an input ↓"  # nothing was timed


def test_a_strategy_without_the_measure_stands_last_and_says_so():
    document = small(baseline="beam")
    document["systems"][0]["values"] = {"wer": {"value": None}}
    assert terminal_rows(document)[1] == [["beam (take, baseline)", "25.00 ▲"], ["greedy", DASH]]


def test_labels_show_what_would_act_in_a_terminal():
    document = small(verdict=None, baseline="")
    document["systems"][1]["label"] = "\x1b[31m[/x]\u202e"
    assert terminal_rows(document)[1][0][0] == "\\x1b[31m[/x]\\u202e"


def test_an_empty_document_gives_an_empty_table():
    assert terminal_rows({}) == (["strategy"], [])


def test_what_a_difference_from_the_baseline_means():
    lower, higher, neither = (Measure("m", "m", "quality", way) for way in ("lower", "higher", ""))
    less = Change(-0.1, None, None, 0.001, 0.01)
    assert verdict_on(less, lower, 0.05) == "better"
    assert verdict_on(less, higher, 0.05) == "worse"
    assert verdict_on(less, neither, 0.05) == "different"
    assert verdict_on(less, lower, 0.01) == ""
    assert verdict_on(None, lower, 0.05) == ""
    assert verdict_on(Change(-0.1, None, None, 0.001, None), lower, 0.05) == ""
