"""Measures: values by seed, and which columns there are."""

import math

import pytest

from seqgen.comparison.measures import Measure, averaged, by_seed, columns
from seqgen.comparison.scores import scores


def measure(name, silent=None):
    return Measure(name, name, "score", None, "", "", silent)


def test_values_of_seeds_and_their_mean(produced):
    found = by_seed(
        produced("a", ["x", "y z"], ["x y z", "x"]),
        lambda outputs: {"words": sum(len(each.generated.text.split()) for [each] in outputs)},
    )
    assert found == {"words": {"value": 3.5, "by_seed": [3, 4]}}


def test_a_seed_without_a_value_does_not_count_in_the_mean(output, produced):
    impossible = output("x", [-math.inf, -1.0])
    found = by_seed(produced("a", [output("x", -4.0)], [impossible]), scores)
    assert found["log_prob_per_token"]["value"] == -2
    assert found["log_prob_per_token"]["by_seed"][0] == -2
    assert math.isnan(found["log_prob_per_token"]["by_seed"][1])
    assert found["impossible"] == {"value": 0.5, "by_seed": [0, 1]}


def test_nothing_defined_has_no_mean():
    assert math.isnan(averaged([math.nan])["value"])


def test_columns_are_what_some_system_has_in_the_order_of_the_measures():
    known = [measure("one"), measure("two"), measure("three")]
    systems = [{"three": {"value": 1.0}}, {"one": {"value": 2.0}, "other": {"value": 3.0}}]
    assert list(columns(known, systems)) == ["one", "three"]


@pytest.mark.parametrize(("second", "shown"), [(0.0, False), (0.1, True)])
def test_a_column_that_says_nothing_is_left_out(second, shown):
    systems = [{"impossible": {"value": 0.0}}, {"impossible": {"value": second}}]
    known = [measure("impossible", silent=0.0)]
    assert ("impossible" in columns(known, systems)) == shown
    assert "impossible" in columns(known, systems, "impossible")


def test_what_a_report_gets_has_no_id():
    assert measure("one").as_data() == {
        "title": "one",
        "group": "score",
        "better": None,
        "unit": "",
        "about": "",
    }
