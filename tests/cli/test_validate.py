"""The verb `validate`; what it refuses is in tests/test_recipe.py."""

import json

from seqgen.recipe_source import RecipeSource, find_recipe


def test_a_right_recipe(command, place):
    before = place.files()
    ended = command("validate", "tiny.yaml", "model.cell.layers=2")
    assert ended == (0, "tiny.yaml: a valid recipe\n", "")
    assert place.files() == before


def test_it_reads_no_data(command, place):
    (place.folder / "text.txt").unlink()
    assert command("validate", "tiny.yaml").code == 0


def test_by_bare_name(command):
    assert command("validate", "char_lstm").out == f"{find_recipe('char_lstm')}: a valid recipe\n"


def test_json_is_the_whole_recipe_which_is_a_recipe_again(command, place):
    ended = command("validate", "tiny.yaml", "train.lr=.5", "--json")
    recipe = json.loads(ended.out)
    assert recipe["train"]["lr"] == 0.5
    assert recipe["model"]["head"]["name"] == "linear"
    path = place.write("again.yaml", ended.out)  # JSON is YAML
    assert json.loads(command("validate", "again.yaml", "--json").out) == recipe
    assert RecipeSource.read(path).document.data == recipe


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
