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


def taken(systems, errors=(), name="word_error_rate"):
    """What is taken where the differences from the best have these standard errors."""

    def against(best):
        return {
            label: {
                "delta": systems[label][0] - systems[best][0],
                "low": systems[label][0] - systems[best][0] - 1.96 * error,
                "high": systems[label][0] - systems[best][0] + 1.96 * error,
                "p_holm": 0.5,
            }
            for label, error in errors
            if label != best
        }

    return verdict(found(systems, name), against, 0.95)["take"]


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


@pytest.mark.parametrize("level", [1e-300, 0.5, 0.9999999999999999])
def test_no_level_is_too_near_to_its_bounds(level):
    systems = {"greedy": (0.25, 10), "beam": (0.2, 50)}

    def against(best):
        test = {"delta": 0.05, "low": 0.04, "high": 0.06, "p_holm": 0.5}
        return {label: test for label in systems if label != best}

    assert verdict(found(systems), against, level)["take"] in systems


def test_the_least_work_of_those_within_a_standard_error_of_the_best():
    assert taken(GREEDY_AND_BEAMS, [("greedy", 0.02), ("beam 2", 0.011)]) == "beam 2"
    assert taken(GREEDY_AND_BEAMS, [("greedy", 0.041), ("beam 2", 0.011)]) == "greedy"
    assert taken(GREEDY_AND_BEAMS, [("greedy", 0.02), ("beam 2", 0.009)]) == "beam 9"


def test_what_equals_the_best_is_near_without_any_spread():
    assert (
        taken({"small": (0.2, 5), "large": (0.2, 9)}, [("small", 0.0), ("large", 0.0)]) == "small"
    )


def test_the_tests_are_those_against_the_best():
    asked = []
    verdict(found(GREEDY_AND_BEAMS), lambda label: asked.append(label) or {}, 0.95)
    assert asked == ["beam 9"]


def test_without_tests_the_best_is_taken():
    assert taken(GREEDY_AND_BEAMS) == "beam 9"


def test_higher_may_be_better():
    assert taken({"a": (30.0, 1), "b": (31.0, 5), "c": (12.0, 1)}, name="bleu") == "b"


def test_equal_ones_go_by_work_then_the_baseline_then_by_label():
    systems = {"b": (0.2, 10), "a": (0.2, 10), "c": (0.2, 20)}
    backwards = dict(reversed(systems.items()))
    assert verdict({**found(systems), "baseline": None}, lambda best: {}, 0.95)["take"] == "a"
    assert verdict({**found(backwards), "baseline": None}, lambda best: {}, 0.95)["take"] == "a"
    errors = [(label, 0.1) for label in systems]
    assert taken(systems, errors) == "b"  # it is the baseline here
    assert taken(backwards, errors) == "a"


def test_hardly_less_work_is_no_reason_to_take_what_is_worse():
    errors = [("a", 0.5), ("b", 0.5)]
    assert taken({"best": (0.1, 50), "a": (0.2, 10.2), "b": (0.3, 10)}, errors) == "a"
    assert taken({"best": (0.1, 50), "a": (0.2, 12), "b": (0.3, 10)}, errors) == "b"


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
