"""Which system to take."""

import pytest

from seqgen.comparison.measures import Measure
from seqgen.comparison.verdict import quality_measure, verdict


def measure(name, group, better):
    return Measure(name, name, group, better, "", "")


MEASURES = {
    each.id: each
    for each in [
        measure("word_error_rate", "quality", "lower"),
        measure("bleu", "quality", "higher"),
        measure("log_prob_per_token", "score", None),
        measure("distinct_2", "diversity", "higher"),
    ]
}


def found(systems, name="word_error_rate"):
    """A comparison of systems by label, each with its quality and its rows per input."""
    return {
        "measures": {name: each.as_data() for name, each in MEASURES.items()},
        "quality": name,
        "baseline": next(iter(systems), None),
        "systems": [
            {
                "label": label,
                "run": "run",
                "values": {name: {"value": value}, "rows_per_input": {"value": rows}},
            }
            for label, (value, rows) in systems.items()
        ],
    }


def taken(systems, tests=(), name="word_error_rate", level=0.95):
    """What is taken where the tests against the best give each label such a p."""
    against = {label: {"p_holm": p_holm} for label, p_holm in tests}
    return verdict(found(systems, name), lambda best: against, level)["take"]


GREEDY_AND_BEAMS = {"greedy": (0.25, 10), "beam 2": (0.22, 20), "beam 9": (0.21, 90)}


def test_the_first_measure_of_quality_is_the_one_unless_another_is_wanted():
    assert quality_measure(None, MEASURES) == "word_error_rate"
    assert quality_measure("bleu", MEASURES) == "bleu"
    assert quality_measure("distinct_2", MEASURES) == "distinct_2"
    assert quality_measure(None, {"distinct_2": MEASURES["distinct_2"]}) is None


@pytest.mark.parametrize("wrong", ["blue", "log_prob_per_token"])
def test_a_measure_without_a_better_side_is_refused(wrong):
    message = f"quality: must be one of word_error_rate, bleu, distinct_2, but is '{wrong}'"
    with pytest.raises(ValueError, match=message):
        quality_measure(wrong, MEASURES)


def test_the_least_work_of_those_that_cannot_be_told_from_the_best():
    assert taken(GREEDY_AND_BEAMS, [("greedy", 0.01), ("beam 2", 0.3)]) == "beam 2"
    assert taken(GREEDY_AND_BEAMS, [("greedy", 0.06), ("beam 2", 0.3)]) == "greedy"
    assert taken(GREEDY_AND_BEAMS, [("greedy", 0.01), ("beam 2", 0.049)]) == "beam 9"


def test_the_level_decides_what_can_be_told():
    assert taken(GREEDY_AND_BEAMS, [("greedy", 0.06), ("beam 2", 0.3)], level=0.9) == "beam 2"


def test_the_tests_are_those_against_the_best():
    asked = []
    verdict(found(GREEDY_AND_BEAMS), lambda label: asked.append(label) or {}, 0.95)
    assert asked == ["beam 9"]


def test_without_tests_the_best_is_taken():
    assert taken(GREEDY_AND_BEAMS) == "beam 9"


def test_higher_may_be_better():
    assert taken({"a": (30.0, 1), "b": (31.0, 5), "c": (12.0, 1)}, name="bleu") == "b"


def test_equal_ones_go_by_work_then_by_label_whatever_the_order():
    systems = {"b": (0.2, 10), "a": (0.2, 10), "c": (0.2, 20)}
    backwards = dict(reversed(systems.items()))
    assert taken(systems) == taken(backwards) == "a"
    tests = [(label, 1.0) for label in systems]
    assert taken(systems, tests) == taken(backwards, tests) == "a"


def test_hardly_less_work_is_no_reason_to_take_what_is_worse():
    tests = [("a", 0.9), ("b", 0.9)]
    assert taken({"best": (0.1, 50), "a": (0.2, 10.2), "b": (0.3, 10)}, tests) == "a"
    assert taken({"best": (0.1, 50), "a": (0.2, 12), "b": (0.3, 10)}, tests) == "b"


def test_of_equally_good_ones_the_one_that_draws_nothing():
    both = found({"a": (0.2, 9.9), "b": (0.2, 10)})
    both["systems"][0]["draws"] = True
    assert verdict(both, lambda best: {}, 0.95)["take"] == "b"


def test_a_system_of_unknown_quality_is_not_taken():
    assert taken({"a": (float("nan"), 1), "b": (0.3, 5)}) == "b"


def test_where_nothing_tells_none_is_taken():
    without = {**found(GREEDY_AND_BEAMS), "quality": None}
    given = verdict(without, lambda label: {}, 0.95)
    assert given["take"] is None
    assert "no references, or no metric" in given["why"][0]
    assert verdict({**found({}), "quality": None}, lambda label: {}, 0.95)["why"]
