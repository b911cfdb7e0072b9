"""What a search missed, and what the model has wrong."""

import math

import pytest

from seqgen.comparison.search_errors import Searched, only, search_errors, search_part
from seqgen.data import Example
from seqgen.metrics import WordErrorRate

METRICS = {"word_error_rate": WordErrorRate()}
EXAMPLES = [Example(str(i), (reference,)) for i, reference in enumerate("abcd")]


@pytest.fixture
def searched(output):
    """The most probable outputs are: the reference; a wrong one; the empty one; not certain."""
    return Searched(
        "run",
        best=[
            output("a", -1.0),
            output("x", -2.0),
            output("", -0.5),
            output("d", -3.0, complete=False),
        ],
        empty=[math.log(0.1), math.log(0.2), -0.5, -math.inf],
        references=[[-1.0], [-4.0], [-math.inf], [-3.0]],
    )


def test_what_is_known_of_the_most_probable_outputs(searched):
    found = search_errors(searched, [], EXAMPLES, METRICS)
    assert found == {
        "run": "run",
        "certain": 3,
        "empty": {
            "mean_probability": pytest.approx((0.1 + 0.2 + math.exp(-0.5)) / 4),
            "best": pytest.approx(1 / 3),
        },
        "reference_reachable": 3,
        "best_is_reference": pytest.approx(1 / 3),
        "best_beats_reference": pytest.approx(2 / 3),
        "quality_of_best": {"word_error_rate": pytest.approx(2 / 3)},
        "systems": [],
    }


def test_what_a_system_missed_and_whose_fault_it_is(searched, output, produced):
    # Of certain inputs it finds the first, misses the second by 3 nats and the third by 1.5. All
    # but the first are wrong: for "y" and "w" the reference is more probable, for "z" it is not.
    outputs = [output("a", -1.0), output("y", -5.0), output("z", -2.0), output("w", -3.5)]
    [found] = search_errors(searched, [produced("s", outputs)], EXAMPLES, METRICS)["systems"]
    assert found == {
        "label": "s",
        "missed": pytest.approx(2 / 3),
        "mean_gap": pytest.approx(2.25),
        "largest_gap": pytest.approx(3),
        "quality": {"word_error_rate": pytest.approx(2 / 3)},
        "outputs": 4,
        "wrong": 3,
        "search_errors": 2,
        "model_errors": 1,
    }


def test_all_seeds_count_and_the_best_output_of_each(searched, output, produced):
    good = [[output("a", -1.0), output("y", -9.0)], output("x", -2.0), output("", -0.5), "d"]
    bad = [output("x", -2.0), output("x", -2.0), output("", -0.5), "d"]
    [found] = search_errors(searched, [produced("s", good, bad)], EXAMPLES, METRICS)["systems"]
    assert found["missed"] == pytest.approx(1 / 6)
    assert found["mean_gap"] == found["largest_gap"] == 1
    assert (found["outputs"], found["wrong"], found["search_errors"]) == (8, 5, 1)
    assert found["quality"]["word_error_rate"] == pytest.approx(5 / 6)


def test_rounding_is_no_search_error(searched, output, produced):
    outputs = [output("a", -1.0 - 5e-7), output("x", -2.0 + 5e-7), output("", -0.5), "d"]
    [found] = search_errors(searched, [produced("s", outputs)], EXAMPLES, METRICS)["systems"]
    assert found["missed"] == 0
    assert "mean_gap" not in found


def test_an_impossible_output_misses_by_no_size(searched, output, produced):
    outputs = [output("a", [-1.0, -math.inf]), output("x", -2.0), output("", -0.5), "d"]
    [found] = search_errors(searched, [produced("s", outputs)], EXAMPLES, METRICS)["systems"]
    assert found["missed"] == pytest.approx(1 / 3)
    assert "mean_gap" not in found


def test_without_references_only_the_search_is_spoken_of(searched, output, produced):
    bare = Searched("run", searched.best, searched.empty, [()] * 4)
    examples = [Example(each.source, ()) for each in EXAMPLES]
    outputs = [output("a", -2.0), output("x", -2.0), output("", -0.5), "d"]
    found = search_errors(bare, [produced("s", outputs)], examples, METRICS)
    assert set(found) == {"run", "certain", "empty", "systems"}
    assert found["systems"] == [
        {
            "label": "s",
            "missed": pytest.approx(1 / 3),
            "mean_gap": 1,
            "largest_gap": 1,
            "quality": {},
        }
    ]


def test_where_nothing_is_certain_only_references_tell(output, produced):
    searched = Searched("run", [output("a", -1.0, complete=False)], [-2.0], [[-1.0]])
    found = search_errors(searched, [produced("s", [output("x", -2.0)])], EXAMPLES[:1], METRICS)
    assert found == {
        "run": "run",
        "certain": 0,
        "empty": {"mean_probability": pytest.approx(math.exp(-2))},
        "reference_reachable": 1,
        "quality_of_best": {},
        "systems": [
            {
                "label": "s",
                "quality": {},
                "outputs": 1,
                "wrong": 1,
                "search_errors": 1,
                "model_errors": 0,
            }
        ],
    }


def test_certain_inputs_are_so_for_every_run(searched, output):
    other = Searched(
        "other",
        [output("a", complete=False), output("x"), output(""), output("d")],
        searched.empty,
        searched.references,
    )
    found = search_part([searched, other], [{"run": "run"}, {"run": "other"}], 50)
    assert found == {
        "inputs": 4,
        "certain": 2,
        "max_nodes": 50,
        "by_run": [{"run": "run"}, {"run": "other"}],
    }


def test_only_some_inputs(produced):
    found = only(produced("s", ["a", "b", "c"], ["d", "e", "f"]), [0, 2])
    texts = [[own[0].generated.text for own in seed] for seed in found.outputs]
    assert texts == [["a", "c"], ["d", "f"]]
