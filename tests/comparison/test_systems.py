"""Systems out of plans: grids written out, labels, and what is wrong with its place in the plan."""

import pytest

from seqgen.comparison.plan import Plan
from seqgen.comparison.systems import baseline_of, systems_of
from seqgen.decoders import Decoder, DecoderFactory, decoders
from seqgen.options import OptionError, check_options, dotted, options_of


def plan_of(*strategies, **more):
    data = {"strategies": list(strategies), **more}
    return Plan(**check_options(options_of(Plan), data, (), "a plan"))


def systems(*strategies, names=("run",)):
    return systems_of(plan_of(*strategies), names)


def refusal(*strategies, names=("run",)):
    with pytest.raises(OptionError) as caught:
        systems(*strategies, names=names)
    return caught.value


class TestGrids:
    def test_all_combinations_in_the_order_of_the_plan(self):
        grid = {"p": [0.5, 0.9], "temperature": [1, 0.7]}
        found = systems({"decoder": "greedy"}, {"decoder": "top_p", "grid": grid})
        assert [each.label for each in found] == [
            "greedy",
            "top_p p=0.5 temperature=1.0",
            "top_p p=0.5 temperature=0.7",
            "top_p p=0.9 temperature=1.0",
            "top_p p=0.9 temperature=0.7",
        ]

    def test_a_spec_has_every_option(self):
        [found] = systems({"decoder": "beam", "grid": {"beam_size": [3]}})
        assert found.spec == {
            "name": "beam",
            "beam_size": 3,
            "n_best": 1,
            "length_normalisation": "none",
            "alpha": 1.0,
            "constraints": [],
        }

    def test_keys_lead_into_parts(self):
        decoder = {"name": "minimum_bayes_risk", "sampler": {"name": "top_k", "k": 9}}
        found = systems({"decoder": decoder, "grid": {"sampler.k": [2, 3]}})
        assert [each.spec["sampler"]["k"] for each in found] == [2, 3]
        decoder = {"name": "greedy", "constraints": [{"name": "minimum_length", "length": 3}]}
        found = systems({"decoder": decoder, "grid": {"constraints.0.length": [4, 5]}})
        assert [each.spec["constraints"][0]["length"] for each in found] == [4, 5]
        assert found[0].label.endswith(" constraints.0.length=4")

    def test_a_value_may_be_a_part(self):
        sampler = {"name": "top_k", "k": 2}
        found = systems({"decoder": "minimum_bayes_risk", "grid": {"sampler": ["top_p", sampler]}})
        assert [each.spec["sampler"]["name"] for each in found] == ["top_p", "top_k"]
        assert found[1].label == "minimum_bayes_risk sampler.k=2 sampler=top_k"

    def test_too_many_are_refused_before_they_are_made(self):
        numbers = list(range(1, 2001))
        error = refusal({"decoder": "beam", "grid": {"beam_size": numbers, "n_best": numbers}})
        assert str(error) == (
            "strategies.0.grid: there may be at most 1,000 decoders, but these are 4,000,000"
        )
        half = {"decoder": "beam", "grid": {"beam_size": numbers[:600]}}
        other = {"decoder": "stochastic_beam", "grid": {"beam_size": numbers[:600]}}
        assert str(refusal(half, other)).startswith("strategies: there may be at most 1,000")


class TestLabels:
    def test_one_of_the_plan_has_the_grid_behind_it(self):
        found = systems(
            {"decoder": "beam", "label": "wide beam", "grid": {"beam_size": [10, 20]}},
            {"decoder": "greedy", "label": "first"},
            {"decoder": "multinomial", "label": "plain", "grid": {"temperature": [1]}},
        )
        assert [each.label for each in found] == [
            "wide beam beam_size=10",
            "wide beam beam_size=20",
            "first",
            "plain temperature=1.0",
        ]

    def test_runs_stand_in_front_where_there_are_several(self):
        found = systems({"decoder": "greedy"}, {"decoder": "beam"}, names=["a", "b"])
        assert [(each.label, each.run) for each in found] == [
            ("a: greedy", 0),
            ("a: beam", 0),
            ("b: greedy", 1),
            ("b: beam", 1),
        ]

    def test_two_equal_decoders_are_refused_with_both_places(self):
        error = refusal(
            {"decoder": "greedy"},
            {"decoder": "beam", "grid": {"beam_size": [2, 5]}},
            {"decoder": "beam", "label": "mine"},
        )
        assert str(error) == "strategies.2: 'mine' decodes as strategies.1.grid.beam_size.1 does"
        assert error.first == ("strategies", 1, "grid", "beam_size", 1)
        error = refusal({"decoder": "multinomial", "grid": {"temperature": [1, 0.5, 1.0]}})
        assert error.path == ("strategies", 0, "grid", "temperature", 2)
        assert error.first == ("strategies", 0, "grid", "temperature", 0)

    def test_two_equal_labels_are_refused_with_both_places(self):
        error = refusal({"decoder": "greedy", "label": "x"}, {"decoder": "beam", "label": "x"})
        assert str(error) == (
            "strategies.1: the label 'x' is that of strategies.0; give it another `label`"
        )
        assert error.first == ("strategies", 0)

    @pytest.mark.parametrize("label", ["", " ", "\n"])
    def test_a_label_says_something(self, label):
        with pytest.raises(OptionError, match=r"^strategies\.0: `label` must not be empty"):
            systems({"decoder": "greedy", "label": label})

    @pytest.mark.parametrize("label", ["x\ny", "x\r\ny", "x\u2028y"])
    def test_a_label_is_one_line(self, label):
        with pytest.raises(OptionError, match=r"^strategies\.0: `label` must be one line, but has"):
            systems({"decoder": "greedy", "label": label})


class TestDraws:
    @pytest.mark.parametrize(
        ("decoder", "draws"),
        [
            ("greedy", False),
            ("beam", False),
            ("exact", False),
            ("multinomial", True),
            ("stochastic_beam", True),
            ("minimum_bayes_risk", True),
        ],
    )
    def test_what_takes_a_seed_draws(self, decoder, draws):
        [found] = systems({"decoder": decoder})
        assert found.draws is draws

    @pytest.mark.usefixtures("own_registries")
    def test_so_does_what_has_a_part_that_takes_one(self):
        @decoders.register("around")
        class Around(Decoder):
            def __init__(self, vocab_size: int, inner: DecoderFactory) -> None:
                self.inner = decoders.build(inner, vocab_size=vocab_size)

            def decode(self, stepper, start, limits):
                return self.inner.decode(stepper, start, limits)

        found = systems(
            {
                "decoder": {"name": "around", "inner": "greedy"},
                "grid": {"inner": ["greedy", "multinomial"]},
            }
        )
        assert [each.draws for each in found] == [False, True]


class TestPlaces:
    @pytest.mark.parametrize(
        ("grid", "path", "message"),
        [
            (
                {"beem_size": [1]},
                "strategies.1.grid.beem_size",
                "not an option of decoder 'beam'; did you mean 'beam_size'? (beam_size, n_best,",
            ),
            (
                {"n_best": [1], "beam_size": [3, 0]},
                "strategies.1.grid.beam_size.1",
                "must be at least 1 and at most 1000000, but is 0",
            ),
            (
                {"length_normalisation": ["none", "gmnt"]},
                "strategies.1.grid.length_normalisation.1",
                "must be 'none', 'power' or 'gnmt', but is 'gmnt'",
            ),
            ({"beam_size.x": [1]}, "strategies.1.grid.beam_size.x", "leads to no option of"),
            ({"constraints.0": ["x"]}, "strategies.1.grid.constraints.0", "leads to no option of"),
            (
                {"constraints": [[], [{"name": "forbid", "text": "a"}]]},
                "strategies.1.grid.constraints.1.0.text",
                "not an option of constraint 'forbid'; did you mean 'texts'?",
            ),
            ({"": [1]}, "strategies.1.grid.", "not an option of decoder 'beam'"),
        ],
    )
    def test_a_wrong_key_or_value_of_a_grid(self, grid, path, message):
        error = refusal({"decoder": "greedy"}, {"decoder": "beam", "grid": grid})
        assert dotted(error.path) == path
        assert error.message.startswith(message)


class TestBaseline:
    STRATEGIES = ({"decoder": "greedy"}, {"decoder": "beam", "grid": {"beam_size": [2, 3]}})

    def found(self, baseline, names=("run",)):
        plan = plan_of(*self.STRATEGIES, baseline=baseline)
        return baseline_of(plan, systems_of(plan, names), names).label

    def test_the_first_or_the_one_of_that_label(self):
        assert self.found(None) == "greedy"
        assert self.found("beam beam_size=3") == "beam beam_size=3"

    def test_of_several_runs(self):
        assert self.found(None, ["a", "b"]) == "a: greedy"
        assert self.found("beam beam_size=3", ["a", "b"]) == "a: beam beam_size=3"
        assert self.found("b: greedy", ["a", "b"]) == "b: greedy"

    def test_there_may_be_none_of_that_label(self):
        with pytest.raises(OptionError) as caught:
            self.found("gredy")
        assert str(caught.value) == (
            "baseline: nothing is called 'gredy'; did you mean 'greedy'? "
            "(greedy, beam beam_size=2, beam beam_size=3)"
        )
