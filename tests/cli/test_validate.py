"""The verb `validate`; what it refuses is in tests/test_recipe.py, and of plans in
tests/comparison/test_plan_source.py."""

import json

import pytest

from seqgen.config import ConfigFile, bundled_plans, find_file


def test_a_right_recipe(command, place):
    before = place.files()
    ended = command("validate", "tiny.yaml", "model.cell.layers=2")
    assert ended == (0, "tiny.yaml: a valid recipe\n", "")
    assert place.files() == before


def test_it_reads_no_data(command, place):
    (place.folder / "text.txt").unlink()
    assert command("validate", "tiny.yaml").code == 0


def test_by_bare_name(command):
    assert command("validate", "char_lstm").out == f"{find_file('char_lstm')}: a valid recipe\n"


def test_json_is_the_whole_recipe_which_is_a_recipe_again(command, place):
    ended = command("validate", "tiny.yaml", "train.lr=.5", "--json")
    recipe = json.loads(ended.out)
    assert recipe["train"]["lr"] == 0.5
    assert recipe["model"]["head"]["name"] == "linear"
    path = place.write("again.yaml", ended.out)  # JSON is YAML
    assert json.loads(command("validate", "again.yaml", "--json").out) == recipe
    assert ConfigFile.read(path).document.data == recipe


def test_options_that_do_not_go_together_are_refused_with_their_place(refusal):
    told = refusal(3, "validate", "tiny.yaml", "model.cell.dropout=0.5")
    assert told == (
        "tiny.yaml:6:9: model.cell: `dropout` is between layers: `layers` must be at least 2, "
        "but is 1 (with override model.cell.dropout=0.5)"
    )
    override = "train.optimizer={name: sgd, nesterov: true}"
    told = refusal(3, "validate", "tiny.yaml", override)
    assert told.startswith(f"override {override}: train.optimizer: Nesterov momentum requires")


def test_a_huge_model_costs_nothing(command, place):
    assert command("validate", "tiny.yaml", "model.cell.hidden_size=1000000").code == 0


PLUGIN = '''
from seqgen.decoders import Greedy, decoders


@decoders.register("mine")
def mine(strength: float = 1.0):
    """A decoder of mine."""
    return Greedy()
'''


class TestPlans:
    @pytest.mark.parametrize("name", sorted(bundled_plans()))
    def test_those_that_come_along(self, name, command):
        ended = command("validate", "--plan", name)
        assert ended == (0, f"{bundled_plans()[name]}: a valid plan\n", "")

    def test_json_is_the_whole_plan_which_is_a_plan_again(self, command, place):
        ended = command("validate", "seq2seq", "--plan", "seeds=7", "--json")
        plan = json.loads(ended.out)
        assert plan["seeds"] == 7
        assert plan["baseline"] == "greedy"
        assert plan["strategies"][0]["decoder"] == {"name": "greedy", "constraints": []}
        place.write("again.yaml", ended.out)
        assert json.loads(command("validate", "--plan", "again.yaml", "--json").out) == plan

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (["seq2seq", "sedes=7"], "override sedes=7: sedes: not an option of a plan; did you"),
            (
                ["seq2seq", "best_of.decoder={name: beam, n_best: 9}"],
                "override best_of.decoder={name: beam, n_best: 9}: best_of.decoder: `n_best` must",
            ),
            (["char_lstm"], "char_lstm: no such plan; it is a recipe (seqgen run char_lstm)"),
            (["tiny.yaml"], "tiny.yaml:2:1: data: not an option of a plan (strategies,"),
            (
                ["bad.yaml"],
                "bad.yaml:1:70: strategies.0.grid.groups.0: `groups` must divide `beam_size`",
            ),
        ],
    )
    def test_refusals(self, words, message, refusal, place):
        grid = "{beam_size: [7], groups: [2]}"
        place.write("bad.yaml", f"strategies: [{{decoder: diverse_beam, grid: {grid}}}]\n")
        assert refusal(3, "validate", "--plan", *words).startswith(message)

    def test_a_plan_is_no_recipe(self, refusal, place):
        assert refusal(3, "validate", "seq2seq").startswith("seq2seq: no such recipe")
        place.write("plan.yaml", "strategies: [{decoder: greedy}]\n")
        told = refusal(3, "validate", "plan.yaml")
        assert told.startswith("plan.yaml:1:1: strategies: not an option of a recipe")

    @pytest.mark.usefixtures("own_registries")
    def test_plugins(self, command, place):
        place.write("more.py", PLUGIN)
        place.write("plan.yaml", "strategies: [{decoder: mine, grid: {strength: [1, 2]}}]\n")
        words = ["validate", "--plan", "plan.yaml"]
        assert command(*words).err.startswith(
            "plan.yaml:1:24: strategies.0.decoder: no decoder nam"
        )
        assert command(*words, "--plugin", "more.py").out == "plan.yaml: a valid plan\n"
