"""Plan files: what becomes of them, and every mistake with its place."""

import json
from pathlib import Path

import pytest

from seqgen.comparison.plan_source import PlanSource, plan_schema
from seqgen.config import bundled_plans, read_override
from seqgen.errors import RecipeError
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

# What is written instead of what, the place of the mistake, and the message.
MISTAKES = {
    "a key": (
        "seeds: 2",
        "sedes: 2",
        "9:1: sedes: not an option of a plan; did you mean 'seeds'? (strategies,",
    ),
    "a recipe": (
        PLAN,
        "data: {name: text, path: text.txt}\n",
        "1:1: data: not an option of a plan (strategies, description, inputs,",
    ),
    "a value": ("seeds: 2", "seeds: 0", "9:8: seeds: must be at least 1 and at most 1000000, but"),
    "a section": (
        "{most: 10}",
        "{most: 10, splt: test}",
        "8:20: inputs.splt: not an option of section 'inputs'; did you mean 'split'? (split,",
    ),
    "a split": (
        "{most: 10}",
        "{split: train}",
        "8:17: inputs.split: must be 'valid' or 'test', but is 'train'",
    ),
    "no strategies": (
        "strategies:\n",
        "others:\n",
        "3:1: others: not an option of a plan (strategies,",
    ),
    "strategies that are left out": (PLAN, "seeds: 1\n", "1:1: `strategies` is missing; a"),
    "strategies that are none": (PLAN, "strategies: []\n", "1:13: strategies: must be at least 1"),
    "one strategy": (
        PLAN,
        "strategies: {decoder: greedy}\n",
        "1:13: strategies: must be a list, but is {\"decoder\": \"greedy\"}",
    ),
    "a strategy that is a name": (
        "- decoder: greedy",
        "- greedy",
        "4:5: strategies.0: must be a mapping of options, but is 'greedy'",
    ),
    "a strategy without a decoder": (
        "decoder: greedy",
        "label: greedy",
        "4:5: strategies.0: `decoder` is missing; section 'strategies.0' needs it",
    ),
    "a decoder": (
        "decoder: greedy",
        "decoder: gredy",
        "4:14: strategies.0.decoder: no decoder named 'gredy'; did you mean 'greedy'? (seqgen list",
    ),
    "an option of a decoder": (
        "n_best",
        "n_bset",
        "5:27: strategies.1.decoder.n_bset: not an option of decoder 'beam'; did you mean 'n_best'",
    ),
    "a grid that is a number": (
        "{beam_size: [2, 5]}",
        "5",
        "6:11: strategies.1.grid: must be a mapping, but is 5",
    ),
    "a value that is no list": (
        "[2, 5]",
        "5",
        "6:23: strategies.1.grid.beam_size: must be a list, but is 5",
    ),
    "no values": (
        "[2, 5]",
        "[]",
        "6:23: strategies.1.grid.beam_size: must be at least 1 long, but is []",
    ),
    "a value in a grid": (
        "[2, 5]",
        "[2, 0]",
        "6:27: strategies.1.grid.beam_size.1: must be at least 1 and at most 1000000, but is 0",
    ),
    "a key of a grid": (
        "beam_size:",
        "beem_size:",
        "6:12: strategies.1.grid.beem_size: not an option of decoder 'beam'; did you mean 'beam_s",
    ),
    "a way into nothing": (
        "beam_size:",
        "beam_size.more:",
        "6:12: strategies.1.grid.beam_size.more: leads to no option of decoder 'beam'",
    ),
    "a label without a sign": (
        "label: wide",
        "label: ' '",
        "5:5: strategies.1: `label` must not be empty",
    ),
    "two equal values": (
        "[2, 5]",
        "[2, 2]",
        "6:27: strategies.1.grid.beam_size.1: 'wide beam_size=2' decodes as "
        "strategies.1.grid.beam_size.0 does; the first is at 6:24",
    ),
    "two equal decoders": (
        "inputs:",
        "  - decoder: {name: beam, beam_size: 5}\ninputs:",
        "8:5: strategies.2: 'beam' decodes as strategies.1.grid.beam_size.1 does; the first is at "
        "6:27",
    ),
    "two equal labels": (
        "inputs:",
        "  - {decoder: multinomial, label: greedy}\ninputs:",
        "8:5: strategies.2: the label 'greedy' is that of strategies.0; give it another `label`; "
        "the first is at 4:5",
    ),
    "a baseline": (
        "seeds: 2",
        "baseline: wide",
        "9:11: baseline: nothing is called 'wide'; did you mean 'wide beam_size=2'? (greedy, wide",
    ),
    "a required option of a grid": (
        "decoder: greedy",
        "decoder: top_k\n    grid: {k: [x, 3]}",
        "5:16: strategies.0.grid.k.0: must be an integer, but is 'x'",
    ),
    "a required option that is nowhere": (
        "decoder: greedy",
        "decoder: top_k",
        "4:14: strategies.0.decoder: `k` is missing; decoder 'top_k' needs it",
    ),
    "a key twice": ("seeds: 2", "inputs: {}", "9:1: inputs: duplicate key; the first is at 8:1"),
    "a tag": ("seeds: 2", "seeds: !!python/name:os.system x", "9:8: "),
    "an unread end": ("[2, 5]", "[2, 5", "6:28: expected ',' or ']'"),
}  # fmt: skip


@pytest.fixture
def write(place):
    """A function that writes the plan with `old` replaced by `new`, and finds it."""

    def call(old="", new="", overrides=()):
        assert old in PLAN
        place.write("plan.yaml", PLAN.replace(old, new, 1))
        return PlanSource.find("plan.yaml", [read_override(each) for each in overrides])

    return call


class TestMistakes:
    @pytest.mark.parametrize("mistake", MISTAKES)
    def test_one_line_with_the_place(self, mistake, write):
        old, new, message = MISTAKES[mistake]
        with pytest.raises(RecipeError) as caught:
            write(old, new).entered(["run"])
        assert str(caught.value).startswith(f"plan.yaml:{message}")
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize(
        ("override", "message"),
        [
            ("seeds=0", "override seeds=0: seeds: must be at least 1"),
            (
                "strategies.1.grid.beam_size.1=0",
                "override strategies.1.grid.beam_size.1=0: strategies.1.grid.beam_size.1: must be",
            ),
            ("strategies.0.decoder=beem", "override strategies.0.decoder=beem: strategies.0.decod"),
            ("strategies.7.label=x", "override strategies.7.label=x: no such key '7'"),
            ("strategies=[]", "override strategies=[]: strategies: must be at least 1 long"),
            ("baseline=x", "override baseline=x: baseline: nothing is called 'x' (greedy, wide"),
            (
                "strategies.0.decoder={name: beam, beam_size: 5}",
                "plan.yaml:6:27: strategies.1.grid.beam_size.1: 'wide beam_size=5' decodes as "
                "strategies.0 does; the first is at 4:5",
            ),
        ],
    )
    def test_overrides_are_named(self, override, message, write):
        with pytest.raises(RecipeError) as caught:
            write(overrides=[override]).entered(["run"])
        assert str(caught.value).startswith(message)


class TestPlan:
    def test_every_option_has_a_value(self, write):
        plan, systems = write().entered(["run"])
        assert plan.description == "Two or three"
        assert (plan.seeds, plan.seed, plan.inputs.most, plan.inputs.split) == (2, 1, 10, "test")
        assert plan.baseline == "greedy"
        assert [each.label for each in systems] == [
            "greedy",
            "wide beam_size=2",
            "wide beam_size=5",
        ]
        assert plan.best_of.decoder.name == "multinomial"

    def test_as_data_it_is_a_plan_again(self, write, place):
        first = write().plan()
        place.write("again.yaml", json.dumps(plain(first)))
        assert PlanSource.find("again.yaml").plan() == first

    def test_overrides_are_laid_over_it(self, write):
        source = write(overrides=["seeds=5", "strategies.1.grid.beam_size=[7]", "inputs.most=null"])
        plan, systems = source.entered(["run"])
        assert (plan.seeds, plan.inputs.most) == (5, None)
        assert systems[1].label == "wide beam_size=7"

    def test_a_grid_may_have_what_a_decoder_requires(self, write):
        source = write("decoder: greedy", "decoder: top_k\n    grid: {k: [5, 3]}")
        assert [each.spec["k"] for each in source.entered(["run"])[1][:2]] == [5, 3]


class TestFinding:
    def test_those_that_come_along(self):
        assert bundled_plans().keys() == {"language_model", "seq2seq"}
        for name in bundled_plans():
            plan, systems = PlanSource.find(name).entered(["run"])
            assert plan.description
            assert plan.baseline == "greedy"
            assert len(systems) > 10
        assert len(PlanSource.find("language_model").entered(["run"])[1]) >= 12

    @pytest.mark.parametrize("wanted", ["language_modl", "recipes/compare/language_modl.yaml"])
    def test_a_near_name_is_suggested(self, wanted, place):
        with pytest.raises(RecipeError) as caught:
            PlanSource.find(wanted)
        assert str(caught.value) == (
            f"{wanted}: no such plan; did you mean 'language_model'? "
            "(a path, or one of language_model, seq2seq)"
        )

    def test_a_recipe_is_no_plan(self, place):
        with pytest.raises(RecipeError, match=r"^char_lstm: no such plan"):
            PlanSource.find("char_lstm")

    def test_a_folder_is_none_either(self, place):
        with pytest.raises(RecipeError, match=r"this is a directory; a YAML file is needed"):
            PlanSource.find(str(place.folder))


def test_the_schema_accepts_the_plans_that_come_along():
    validator = pytest.importorskip("jsonschema").validators.Draft202012Validator
    validator.check_schema(plan_schema())
    for name in bundled_plans():
        validator(plan_schema()).validate(PlanSource.find(name).file.data)


def test_the_schema_knows_decoders_and_asks_for_strategies():
    schema = json.loads(json.dumps(plan_schema()))
    assert schema["required"] == ["strategies"]
    strategies = schema["properties"]["strategies"]
    assert (strategies["type"], strategies["minItems"]) == ("array", 1)
    assert strategies["items"]["properties"]["decoder"] == {"$ref": "#/$defs/decoders"}
    assert strategies["items"]["required"] == ["decoder"]
    [top_k] = [
        each
        for each in schema["$defs"]["decoders"]["anyOf"][1:]
        if each["properties"]["name"] == {"const": "top_k"}
    ]
    assert top_k["required"] == ["name"]
    assert Path(bundled_plans()["seq2seq"]).parent.name == "compare"
