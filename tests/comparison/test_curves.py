"""Which systems make a curve."""

from seqgen.comparison.curves import curves
from seqgen.comparison.plan import Plan
from seqgen.comparison.systems import systems_of
from seqgen.options import check_options, options_of


def systems(*strategies, names=("run",)):
    data = {"strategies": list(strategies)}
    return systems_of(Plan(**check_options(options_of(Plan), data, (), "a plan")), names)


def test_values_of_one_option_in_their_order():
    found = systems(
        {"decoder": "greedy"},
        {"decoder": "beam", "grid": {"beam_size": [10, 1]}},
        {"decoder": {"name": "beam", "beam_size": 3}},
        {"decoder": "beam", "grid": {"beam_size": [2], "length_normalisation": ["power"]}},
    )
    assert curves(found, ["run"]) == [
        {
            "option": "beam_size",
            "name": "beam",
            "run": "run",
            "points": [
                {"at": 1, "label": "beam beam_size=1"},
                {"at": 3, "label": "beam beam_size=3"},
                {"at": 10, "label": "beam beam_size=10"},
            ],
        }
    ]


def test_two_points_are_no_curve():
    assert curves(systems({"decoder": "beam", "grid": {"beam_size": [1, 5]}}), ["run"]) == []


def test_words_and_truths_are_no_numbers():
    decoder = {"name": "beam", "alpha": 0.5}
    grid = {"length_normalisation": ["none", "power", "gnmt"]}
    assert curves(systems({"decoder": decoder, "grid": grid}), ["run"]) == []


def test_a_grid_of_two_options_makes_a_curve_for_each_value_of_either():
    grid = {"p": [0.5, 0.7, 0.9], "temperature": [0.5, 1.0]}
    found = curves(systems({"decoder": "top_p", "grid": grid}), ["run"])
    assert [(each["option"], each["name"]) for each in found] == [
        ("p", "top_p temperature=0.5"),
        ("p", "top_p"),
    ]
    assert [each["at"] for each in found[0]["points"]] == [0.5, 0.7, 0.9]
    assert found[0]["points"][1]["label"] == "top_p p=0.7 temperature=0.5"


def test_runs_have_curves_of_their_own_and_parts_inside_have_some_too():
    strategy = {
        "decoder": {"name": "minimum_bayes_risk", "samples": 4},
        "grid": {"sampler.temperature": [1, 0.5, 0.25]},
    }
    found = curves(systems(strategy, names=["a", "b"]), ["a", "b"])
    assert [(each["run"], each["option"], each["name"]) for each in found] == [
        ("a", "sampler.temperature", "minimum_bayes_risk samples=4"),
        ("b", "sampler.temperature", "minimum_bayes_risk samples=4"),
    ]
    assert found[1]["points"][0] == {
        "at": 0.25,
        "label": "b: minimum_bayes_risk samples=4 sampler.temperature=0.25",
    }
