import re

from seqgen.reports.comparison.document import comparison_of
from seqgen.reports.comparison.table import main_columns, table


def document(**more):
    values = {"a": (0.5, 0.9), "b": (0.25, 0.2), "c": (0.25, 0.1)}
    return {
        "measures": {
            "error": {"title": "error", "group": "quality", "better": "lower", "unit": "share"},
            "distinct_2": {"title": "distinct", "group": "diversity", "better": "higher"},
        },
        "quality": "error",
        "baseline": "a",
        "systems": [
            {
                "label": label,
                "values": {
                    "error": {"value": error, "low": 0.125, "high": 0.75},
                    "distinct_2": {"value": distinct, "by_seed": [0.0625, 0.9]},
                },
            }
            for label, (error, distinct) in values.items()
        ],
        **more,
    }


def cells(html, label):
    """The cells of a row, as HTML."""
    row = next(each for each in html.split("<tr") if f'data-label="{label} "' in each)
    return re.findall("<td[^>]*>(.*?)</td>", row)


def test_values_with_their_intervals_and_their_spread_the_best_in_bold():
    html = table(comparison_of(document()))
    assert cells(html, "a")[0] == "50.00<small>[12.50\u201375.00]</small>"
    assert cells(html, "b")[0].startswith("<b>25.00</b>")
    assert cells(html, "c")[0].startswith("<b>25.00</b>")
    assert "smallest and largest of 2 seeds" in cells(html, "a")[1]
    assert "<b>" not in cells(html, "a")[1]  # the most diverse is not the best


def test_a_difference_has_its_symbol_and_its_numbers():
    found = document()
    change = {"delta": -0.25, "low": -0.5, "high": -0.125, "p_value": 0.001, "p_holm": 0.002}
    found["systems"][1]["against_baseline"] = {"error": change}
    found["systems"][2]["against_baseline"] = {"error": {**change, "p_holm": 0.2}}
    html = table(comparison_of(found))
    assert (
        'class="mark better" title="-25.00 % against a, -50.00 to -12.50; '
        'p = 0.002 by Holm, 0.001 alone">\u25b2' in cells(html, "b")[0]
    )
    assert 'class="mark alike"' in cells(html, "c")[0]
    assert "mark" not in cells(html, "a")[0]


def test_the_columns_at_first_are_few(pronounced):
    comparison = comparison_of(pronounced)
    chosen = main_columns(comparison)
    assert chosen[0] == "phoneme_error_rate"
    assert "word_error_rate" in chosen
    assert len(chosen) <= 9
    html = table(comparison)
    shown = re.findall(r'<th scope="col" data-name="(\w+)"[^>]*aria-sort="\w+">', html)
    assert sorted(shown) == sorted(chosen)


def test_references_stand_in_the_foot():
    known = {"values": {"distinct_2": {"value": 0.75}}}
    foot = table(comparison_of(document(references=known))).split("<tfoot>")[1]
    assert "references" in foot
    assert "0.7500" in foot
    assert "<tfoot>" not in table(comparison_of(document()))


def test_many_strategies_scroll_in_a_box():
    found = document()
    assert " tall" not in table(comparison_of(found))
    systems = [{**found["systems"][0], "label": f"beam {i}"} for i in range(60)]
    html = table(comparison_of({**found, "systems": systems}))
    assert 'class="wide compared tall"' in html
    assert "60 strategies" in html


def test_labels_may_be_broken_at_their_words():
    found = document()
    found["systems"][0]["label"] = "beam length_normalisation=power <b>"
    html = table(comparison_of(found))
    assert "length_<wbr>normalisation=<wbr>power &lt;b&gt;" in html


def test_nothing_was_compared():
    assert table(comparison_of({})) == "<p>Nothing was compared.</p>"
