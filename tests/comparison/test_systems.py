"""Plans as files become systems: every mistake with its place, grids, labels, baseline, curves."""

import json

import pytest

from seqgen.comparison import PlanSource, plan_schema, systems_of
from seqgen.comparison.systems import LONGEST, baseline_of, curves, decoder_label
from seqgen.config import bundled_plans, read_override
from seqgen.decoders import Decoder, DecoderFactory, decoders
from seqgen.errors import RecipeError
from seqgen.options import OptionError, dotted
from seqgen.registry import plain

PLAN = """\
# Some strategies.
description: Two or three
strategies:
  - decoder: greedy
  - decoder: {name: beam, n_best: 1}
    grid: {beam_size: [2, 5]}
    label: wide
inputs: {most: 10}
seeds: 2
"""

# What is written instead of what, and the message with the place of the mistake. More are in
# tests/golden/faults.json.
MISTAKES = [
    (PLAN, "data: {name: text, path: text.txt}\n",
     "1:1: data: not an option of a plan (strategies, description, inputs,"),
    ("{most: 10}", "{most: 10, splt: test}",
     "8:20: inputs.splt: not an option of section 'inputs'; did you mean 'split'? (split,"),
    ("{most: 10}", "{split: train}",
     "8:17: inputs.split: must be 'valid' or 'test', but is 'train'"),
    ("strategies:\n", "others:\n", "3:1: others: not an option of a plan (strategies,"),
    (PLAN, "seeds: 1\n", "1:1: `strategies` is missing; a"),
    (PLAN, "strategies: {decoder: greedy}\n",
     "1:13: strategies: must be a list, but is {\"decoder\": \"greedy\"}"),
    ("- decoder: greedy", "- greedy",
     "4:5: strategies.0: must be a mapping of options, but is 'greedy'"),
    ("decoder: greedy", "label: greedy",
     "4:5: strategies.0: `decoder` is missing; section 'strategies.0' needs it"),
    ("n_best", "n_bset", "5:27: strategies.1.decoder.n_bset: not an option of decoder 'beam'; "
     "did you mean 'n_best'"),
    ("{beam_size: [2, 5]}", "5", "6:11: strategies.1.grid: must be a mapping, but is 5"),
    ("[2, 5]", "5", "6:23: strategies.1.grid.beam_size: must be a list, but is 5"),
    ("[2, 5]", "[]", "6:23: strategies.1.grid.beam_size: must be at least 1 long, but is []"),
    ("beam_size:", "beam_size.more:",
     "6:12: strategies.1.grid.beam_size.more: leads to no option of decoder 'beam'"),
    ("label: wide", "label: ' '", "5:5: strategies.1: `label` must not be empty"),
    ("[2, 5]", "[2, 2]", "6:27: strategies.1.grid.beam_size.1: 'wide beam_size=2' decodes as "
     "strategies.1.grid.beam_size.0 does; the first is at 6:24"),
    ("inputs:", "  - decoder: {name: beam, beam_size: 5}\ninputs:",
     "8:5: strategies.2: 'beam' decodes as strategies.1.grid.beam_size.1 does; the first is at "
     "6:27"),
    ("inputs:", "  - {decoder: multinomial, label: greedy}\ninputs:",
     "8:5: strategies.2: the label 'greedy' is that of strategies.0; give it another `label`; "
     "the first is at 4:5"),
    ("seeds: 2", "baseline: wide",
     "9:11: baseline: nothing is called 'wide'; did you mean 'wide beam_size=2'? (greedy, wide"),
    ("decoder: greedy", "decoder: multinomial\n    grid: {temperature: [1, 0.5, 1.0]}",
     "5:34: strategies.0.grid.temperature.2: 'multinomial temperature=1.0' decodes as "
     "strategies.0.grid.temperature.0 does; the first is at 5:26"),
    ("decoder: greedy", "decoder: top_k\n    grid: {k: [x, 3]}",
     "5:16: strategies.0.grid.k.0: must be an integer, but is 'x'"),
    ("decoder: greedy", "decoder: top_k",
     "4:14: strategies.0.decoder: `k` is missing; decoder 'top_k' needs it"),
    ("seeds: 2", "inputs: {}", "9:1: inputs: duplicate key; the first is at 8:1"),
    ("seeds: 2", "seeds: !!python/name:os.system x", "9:8: "),
    ("[2, 5]", "[2, 5", "6:28: expected ',' or ']'"),
]  # fmt: skip

OVERRIDES = [
    ("seeds=0", "override seeds=0: seeds: must be at least 1"),
    ("strategies.1.grid.beam_size.1=0",
     "override strategies.1.grid.beam_size.1=0: strategies.1.grid.beam_size.1: must be"),
    ("strategies.0.decoder=beem", "override strategies.0.decoder=beem: strategies.0.decod"),
    ("strategies.7.label=x", "override strategies.7.label=x: no such key '7'"),
    ("strategies=[]", "override strategies=[]: strategies: must be at least 1 long"),
    ("baseline=x", "override baseline=x: baseline: nothing is called 'x' (greedy, wide"),
    ("strategies.0.decoder={name: beam, beam_size: 5}",
     "plan.yaml:6:27: strategies.1.grid.beam_size.1: 'wide beam_size=5' decodes as "
     "strategies.0 does; the first is at 4:5"),
]  # fmt: skip


def labels(systems):
    return [each.label for each in systems]


@pytest.fixture
def write(place):
    """A function that writes the plan with `old` replaced by `new`, and finds it."""

    def call(old="", new="", overrides=()):
        assert old in PLAN
        place.write("plan.yaml", PLAN.replace(old, new, 1))
        return PlanSource.find("plan.yaml", [read_override(each) for each in overrides])

    return call


@pytest.fixture
def systems(plan_of):
    """A function from strategies to the systems of runs with these names."""
    return lambda *strategies, names=("run",): systems_of(plan_of(*strategies), names)


@pytest.fixture
def refusal(systems):
    """A function from strategies to the error about them."""

    def call(*strategies):
        with pytest.raises(OptionError) as caught:
            systems(*strategies)
        return caught.value

    return call


class TestPlanFiles:
    @pytest.mark.parametrize(("old", "new", "message"), MISTAKES)
    def test_a_mistake_is_one_line_with_the_place(self, old, new, message, write):
        with pytest.raises(RecipeError) as caught:
            write(old, new).expand(["run"])
        assert str(caught.value).startswith(f"plan.yaml:{message}")
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize(("override", "message"), OVERRIDES)
    def test_overrides_are_named(self, override, message, write):
        with pytest.raises(RecipeError) as caught:
            write(overrides=[override]).expand(["run"])
        assert str(caught.value).startswith(message)

    def test_every_option_has_a_value(self, write):
        plan, systems = write().expand(["run"])
        assert (plan.description, plan.baseline) == ("Two or three", "greedy")
        assert (plan.seeds, plan.seed, plan.inputs.most, plan.inputs.split) == (2, 1, 10, "test")
        assert labels(systems) == ["greedy", "wide beam_size=2", "wide beam_size=5"]
        assert plan.best_of.decoder.name == "multinomial"

    def test_as_data_it_is_a_plan_again(self, write, place):
        first = write().plan()
        place.write("again.yaml", json.dumps(plain(first)))
        assert PlanSource.find("again.yaml").plan() == first

    def test_overrides_are_laid_over_it(self, write):
        source = write(overrides=["seeds=5", "strategies.1.grid.beam_size=[7]", "inputs.most=null"])
        plan, systems = source.expand(["run"])
        assert (plan.seeds, plan.inputs.most) == (5, None)
        assert labels(systems) == ["greedy", "wide beam_size=7"]

    def test_a_grid_may_have_what_a_decoder_requires(self, write):
        source = write("decoder: greedy", "decoder: top_k\n    grid: {k: [5, 3]}")
        assert [each.spec["k"] for each in source.expand(["run"])[1][:2]] == [5, 3]

    def test_the_bundled_plans(self):
        assert bundled_plans().keys() == {"language_model", "seq2seq"}
        for name in bundled_plans():
            plan, systems = PlanSource.find(name).expand(["run"])
            assert plan.description
            assert plan.baseline == "greedy"
            assert len(systems) > (11 if name == "language_model" else 10)

    @pytest.mark.parametrize(
        ("wanted", "message"),
        [
            *(
                (wanted, f"{wanted}: no such plan; did you mean 'language_model'? (a path, or one "
                "of language_model, seq2seq)")
                for wanted in ("language_modl", "recipes/compare/language_modl.yaml")
            ),
            ("char_lstm", "char_lstm: no such plan"),
            (".", ".: this is a directory; a YAML file is needed"),
        ],
    )  # fmt: skip
    def test_what_is_no_plan(self, wanted, message, place):
        with pytest.raises(RecipeError) as caught:
            PlanSource.find(wanted)
        assert str(caught.value).startswith(message)

    def test_the_schema_accepts_the_bundled_plans(self):
        validator = pytest.importorskip("jsonschema").validators.Draft202012Validator
        validator.check_schema(plan_schema())
        for name in bundled_plans():
            validator(plan_schema()).validate(PlanSource.find(name).file.data)

    def test_the_schema_knows_decoders_and_asks_for_strategies(self):
        schema = json.loads(json.dumps(plan_schema()))
        schema = {**schema, **schema["anyOf"][0]}
        assert schema["required"] == ["strategies"]
        strategies = schema["properties"]["strategies"]
        assert (strategies["type"], strategies["minItems"]) == ("array", 1)
        assert strategies["items"]["properties"]["decoder"] == {"$ref": "#/$defs/decoders"}
        assert strategies["items"]["required"] == ["decoder"]
        parts = schema["$defs"]["decoders"]["anyOf"][1:]
        [top_k] = [each for each in parts if each["properties"]["name"] == {"const": "top_k"}]
        assert top_k["required"] == ["name"]


class TestGrids:
    def test_all_combinations_in_the_order_of_the_plan(self, systems):
        grid = {"p": [0.5, 0.9], "temperature": [1, 0.7]}
        found = systems({"decoder": "greedy"}, {"decoder": "top_p", "grid": grid})
        pairs = [f"top_p p={p} temperature={at}" for p in (0.5, 0.9) for at in (1.0, 0.7)]
        assert labels(found) == ["greedy", *pairs]

    def test_a_spec_has_every_option(self, systems):
        [found] = systems({"decoder": "beam", "grid": {"beam_size": [3]}})
        how = {"length_normalisation": "none", "alpha": 1.0, "word_reward": 0.0}
        assert found.spec == {"name": "beam", "beam_size": 3, "n_best": 1, **how, "constraints": []}

    def test_keys_lead_into_parts(self, systems):
        decoder = {"name": "minimum_bayes_risk", "sampler": {"name": "top_k", "k": 9}}
        found = systems({"decoder": decoder, "grid": {"sampler.k": [2, 3]}})
        assert [each.spec["sampler"]["k"] for each in found] == [2, 3]
        decoder = {"name": "greedy", "constraints": [{"name": "minimum_length", "length": 3}]}
        found = systems({"decoder": decoder, "grid": {"constraints.0.length": [4, 5]}})
        assert [each.spec["constraints"][0]["length"] for each in found] == [4, 5]
        assert found[0].label.endswith(" constraints.0.length=4")
        # A value may be a part.
        samplers = ["top_p", {"name": "top_k", "k": 2}]
        found = systems({"decoder": "minimum_bayes_risk", "grid": {"sampler": samplers}})
        assert [each.spec["sampler"]["name"] for each in found] == ["top_p", "top_k"]
        assert found[1].label == "minimum_bayes_risk sampler.k=2 sampler=top_k"

    def test_too_many_are_refused_before_they_are_made(self, refusal, monkeypatch):
        many = "there may be at most {:,} decoders, but these are {:,}".format
        numbers = list(range(1, 2001))
        error = refusal({"decoder": "beam", "grid": {"beam_size": numbers, "n_best": numbers}})
        assert str(error) == f"strategies.0.grid: {many(1000, 4_000_000)}"
        monkeypatch.setattr("seqgen.comparison.systems.MOST", 10)
        half = {"decoder": "beam", "grid": {"beam_size": numbers[:6]}}
        other = {"decoder": "stochastic_beam", "grid": {"beam_size": numbers[:6]}}
        assert str(refusal(half, other)) == f"strategies: {many(10, 12)}"

    @pytest.mark.parametrize(
        ("grid", "path", "message"),
        [
            ({"n_best": [1], "beam_size": [3, 0]}, "beam_size.1",
             "must be at least 1 and at most 1000000, but is 0"),
            ({"length_normalisation": ["none", "gmnt"]}, "length_normalisation.1",
             "must be 'none', 'power' or 'gnmt', but is 'gmnt'"),
            ({"constraints.0": ["x"]}, "constraints.0", "leads to no option of"),
            ({"constraints": [[], [{"name": "forbid", "text": "a"}]]}, "constraints.1.0.text",
             "not an option of constraint 'forbid'; did you mean 'texts'?"),
            ({"": [1]}, "", "not an option of decoder 'beam'"),
        ],
    )  # fmt: skip
    def test_a_wrong_key_or_value(self, grid, path, message, refusal):
        error = refusal({"decoder": "greedy"}, {"decoder": "beam", "grid": grid})
        assert dotted(error.path) == f"strategies.1.grid.{path}"
        assert error.message.startswith(message)


class TestLabels:
    @pytest.mark.parametrize(
        ("spec", "also", "label"),
        [
            ("greedy", [], ""),
            ("beam", [], ""),
            ({"name": "beam", "beam_size": 5}, [], ""),
            ({"name": "beam", "beam_size": 5}, ["beam_size"], " beam_size=5"),
            ({"name": "beam", "alpha": 0.5, "n_best": 2}, [], " n_best=2 alpha=0.5"),
            ({"name": "top_k", "k": 3}, [], " k=3"),
            ({"name": "multinomial", "temperature": 1}, ["temperature"], " temperature=1.0"),
            ("beam", ["beam_size", "alpha"], " beam_size=5 alpha=1.0"),
            ({"name": "beam", "alpha": 0.5}, ["n_best"], " alpha=0.5 n_best=1"),
            ({"name": "minimum_bayes_risk", "sampler": {"temperature": 0.5}}, [],
             " sampler.temperature=0.5"),
            ({"name": "minimum_bayes_risk", "sampler": {"name": "top_k", "k": 4}, "samples": 8},
             ["samples"], " sampler=top_k sampler.k=4 samples=8"),
            ("minimum_bayes_risk", ["sampler"], " sampler=multinomial"),
            ({"name": "greedy", "constraints": [{"name": "no_repeat_ngram", "size": 3}]},
             ["constraints"], " constraints=[no_repeat_ngram size=3]"),
            ({"name": "greedy", "constraints": [{"name": "no_repeat_ngram", "size": 3}]},
             ["constraints.0.size"],
             " constraints=[no_repeat_ngram size=3] constraints.0.size=3"),
            ({"name": "top_k", "k": 3, "temperature": "inf"}, [], " k=3 temperature=inf"),
            ({"name": "multinomial", "truncations": [{"name": "top_k", "k": 3}, "top_p"]}, [],
             " truncations=[top_k k=3, top_p]"),
            ("greedy", ["constraints"], " constraints=[]"),
            ("greedy", ["name"], " name=greedy"),
            ("minimum_bayes_risk", ["sampler.name"], " sampler.name=multinomial"),
            ({"name": "greedy", "constraints": [{"name": "minimum_length", "length": 3},
                                                {"name": "forced_prefix", "text": "a b"}]},
             [], ' constraints=[minimum_length length=3, forced_prefix text="a b"]'),
        ],
    )  # fmt: skip
    def test_the_decoder_and_what_is_not_the_default(self, spec, also, label):
        part = decoders.check(spec)
        assert decoder_label(part, also) == part.name + label

    def test_one_option_may_be_left_out(self):
        part = decoders.check({"name": "top_p", "p": 0.5, "temperature": 0.7})
        assert decoder_label(part, without="temperature") == "top_p p=0.5"

    def test_long_values_are_cut(self):
        constraint = {"name": "allowed", "texts": [f"word{number}" for number in range(1000)]}
        label = decoder_label(decoders.check({"name": "greedy", "constraints": [constraint]}))
        assert label.startswith("greedy constraints=[allowed texts=[word0, word1, ")
        assert label.endswith("...")
        assert len(label) == len("greedy constraints=") + LONGEST

    def test_one_of_the_plan_is_followed_by_the_grid(self, systems):
        wide = {"decoder": "beam", "label": "wide beam", "grid": {"beam_size": [10, 20]}}
        found = systems(wide, {"decoder": "greedy", "label": "first"})
        assert labels(found) == ["wide beam beam_size=10", "wide beam beam_size=20", "first"]

    def test_several_runs_come_first(self, systems):
        found = systems({"decoder": "greedy"}, {"decoder": "beam"}, names=["a", "b"])
        labelled = [("a: greedy", 0), ("a: beam", 0), ("b: greedy", 1), ("b: beam", 1)]
        assert [(each.label, each.run) for each in found] == labelled

    @pytest.mark.parametrize(
        ("label", "message"),
        [
            *((label, "not be empty") for label in ("", " ", "\n")),
            *((label, "be one line, but has") for label in ("x\ny", "x\r\ny", "x\u2028y")),
        ],
    )
    def test_a_label_is_one_line_and_not_empty(self, label, message, refusal):
        error = refusal({"decoder": "greedy", "label": label})
        assert str(error).startswith(f"strategies.0: `label` must {message}")


@pytest.mark.parametrize(
    ("decoder", "draws"),
    [
        *((each, False) for each in ("greedy", "beam", "exact")),
        *((each, True) for each in ("multinomial", "stochastic_beam", "minimum_bayes_risk")),
    ],
)
def test_what_takes_a_seed_draws(decoder, draws, systems):
    [found] = systems({"decoder": decoder})
    assert found.draws is draws


@pytest.mark.usefixtures("own_registries")
def test_what_has_a_part_that_takes_a_seed_draws(systems):
    @decoders.register("around")
    class Around(Decoder):
        def __init__(self, vocab_size: int, inner: DecoderFactory) -> None:
            self.inner = decoders.build(inner, vocab_size=vocab_size)

        def decode(self, stepper, start, limits):
            return self.inner.decode(stepper, start, limits)

    decoder = {"name": "around", "inner": "greedy"}
    found = systems({"decoder": decoder, "grid": {"inner": ["greedy", "multinomial"]}})
    assert [each.draws for each in found] == [False, True]


@pytest.mark.parametrize(
    ("wanted", "names", "found"),
    [
        (None, ["run"], "greedy"),
        ("beam beam_size=3", ["run"], "beam beam_size=3"),
        (None, ["a", "b"], "a: greedy"),
        ("beam beam_size=3", ["a", "b"], "a: beam beam_size=3"),
        ("b: greedy", ["a", "b"], "b: greedy"),
    ],
)
def test_the_baseline_is_the_first_or_the_one_of_that_label(wanted, names, found, plan_of):
    strategies = ({"decoder": "greedy"}, {"decoder": "beam", "grid": {"beam_size": [2, 3]}})
    plan = plan_of(*strategies, baseline=wanted)
    assert baseline_of(plan, systems_of(plan, names), names).label == found


class TestCurves:
    @pytest.fixture
    def found(self, systems):
        """A function from strategies to the curves of runs with these names: run, option and name
        of each, and its points."""

        def call(*strategies, names=("run",)):
            every = curves(systems(*strategies, names=names), names)
            points = [[(point.at, point.label) for point in each.points] for each in every]
            return [(each.run, each.option, each.name) for each in every], points

        return call

    def test_values_of_one_option_in_their_order(self, found):
        curve, [points] = found(
            {"decoder": "greedy"},
            {"decoder": "beam", "grid": {"beam_size": [10, 1]}},
            {"decoder": {"name": "beam", "beam_size": 3}},
            {"decoder": "beam", "grid": {"beam_size": [2], "length_normalisation": ["power"]}},
        )
        assert curve == [("run", "beam_size", "beam")]
        assert points == [(size, f"beam beam_size={size}") for size in (1, 3, 10)]

    @pytest.mark.parametrize(
        ("decoder", "grid"),
        [
            ("beam", {"beam_size": [1, 5]}),  # two points are no curve
            ("multinomial", {"temperature": [0.5, 1, "inf"]}),  # nor is one without an end
            ({"name": "beam", "alpha": 0.5}, {"length_normalisation": ["none", "power", "gnmt"]}),
        ],
    )
    def test_too_few_points_and_words_are_no_curve(self, decoder, grid, found):
        assert found({"decoder": decoder, "grid": grid}) == ([], [])

    def test_a_grid_of_two_options_makes_a_curve_for_each_value_of_either(self, found):
        grid = {"p": [0.5, 0.7, 0.9], "temperature": [0.5, 1.0]}
        named, [points, _] = found({"decoder": "top_p", "grid": grid})
        assert named == [("run", "p", name) for name in ("top_p temperature=0.5", "top_p")]
        assert points == [(p, f"top_p p={p} temperature=0.5") for p in (0.5, 0.7, 0.9)]

    def test_runs_and_parts_inside_have_curves_of_their_own(self, found):
        decoder = {"name": "minimum_bayes_risk", "samples": 4}
        strategy = {"decoder": decoder, "grid": {"sampler.temperature": [1, 0.5, 0.25]}}
        named, [_, points] = found(strategy, names=["a", "b"])
        label = "minimum_bayes_risk samples=4"
        assert named == [(run, "sampler.temperature", label) for run in "ab"]
        assert points[0] == (0.25, f"b: {label} sampler.temperature=0.25")
