import re

from seqgen.reports.comparison.document import comparison_of
from seqgen.reports.comparison.plots import plots


def document(**more):
    """Four strategies: one that is worse than another at both, and no work that is known of one."""
    rows = {"a": (0.1, 0.5, 10), "b": (0.2, 0.7, 5), "c": (0.3, 0.6, None), "d": (0.15, 0.5, 20)}
    return {
        "measures": {
            "error": {"title": "error", "group": "quality", "better": "lower", "unit": "share"},
            "distinct_2": {"title": "distinct", "group": "diversity", "better": "higher"},
            "rows_per_input": {"title": "work", "group": "work", "better": "lower"},
        },
        "quality": "error",
        "diversity": "distinct_2",
        "systems": [
            {
                "label": label,
                "values": {
                    "error": {"value": error},
                    "distinct_2": {"value": distinct},
                    "rows_per_input": {"value": work},
                },
            }
            for label, (error, distinct, work) in rows.items()
        ],
        "verdict": {"take": "d"},
        **more,
    }


def fronts(html):
    return re.findall(r"On the front, the best quality first: ([^<]*)\.</figcaption>", html)


def test_the_front_is_of_what_is_better_whichever_way_that_is():
    # c is behind b at both; d is behind a; of work a is the best at quality, b has the least.
    assert fronts(plots(comparison_of(document()))) == ["a, b", "a, b"]


def test_each_mark_says_what_it_is_and_what_is_to_be_taken_has_a_label():
    html = plots(comparison_of(document()))
    broad = html.split('class="broad"')[1].split('class="slim"')[0]
    assert "<title>d: error 15.00 %, distinct 0.5000</title>" in broad
    assert broad.count("<title>") == 4
    assert broad.count('class="point front') == 2
    labels = re.findall(r'class="label"[^>]*>([^<]*)<', broad)
    assert sorted(labels) == ["a", "b", "d"]


def test_up_is_better_for_errors_too():
    broad = plots(comparison_of(document())).split('class="broad"')[1]
    found = re.findall(r'<title>(\w): [^<]*</title><circle cx="([\d.]+)" cy="([\d.]+)"', broad)
    heights = {label: float(y) for label, _, y in found[:4]}
    assert heights["a"] < heights["d"] < heights["b"] < heights["c"]  # pixels go down


def test_references_are_a_line_where_they_are_known():
    known = {"values": {"distinct_2": {"value": 0.9}}}
    with_line = plots(comparison_of(document(references=known)))
    assert with_line.count('class="reference"') == 2  # on the wide and the narrow picture
    assert 'class="reference"' not in plots(comparison_of(document()))


def test_there_is_no_plot_of_one_point_or_without_quality():
    only = document()
    only["systems"] = only["systems"][:1]
    assert plots(comparison_of(only)) == ""
    assert plots(comparison_of(document(quality=None))) == ""


def test_several_runs_have_shapes_of_their_own():
    html = document(runs=[{"name": "one"}, {"name": "two"}])
    for i, each in enumerate(html["systems"]):
        each["run"] = ("one", "two")[i % 2]
    html = plots(comparison_of(html))
    assert 'class="keys"' in html
    assert "<rect" in html


def test_of_a_long_front_the_best_are_named():
    found = document()
    found["systems"] = [
        {"label": f"s{i}", "values": {"error": {"value": i}, "distinct_2": {"value": i}}}
        for i in range(14)
    ]
    [named] = fronts(plots(comparison_of(found)))
    assert named == "s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10, s11 and 2 more"


def test_where_nothing_was_timed_work_stands_for_it():
    found = document()
    found["timings"] = {"systems": {"a": {"sequences_per_second": 5}}}
    html = plots(comparison_of(found))
    assert "Error and work" in html
    assert "sequences per second" not in html
