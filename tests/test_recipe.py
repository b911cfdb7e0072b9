"""Recipes: what is refused and with which words, how overrides are blamed, the schema."""

import dataclasses
import json
import os
from pathlib import Path

import pytest
from json_schema import accepts

from seqgen.config import ConfigFile, bundled_recipes
from seqgen.errors import RecipeError
from seqgen.recipe import named_plugins, read_recipe, recipe_schema

POSITIVE = "must be greater than 0 and at most 1e+30"
NOT_NEGATIVE = "must be at least 0 and at most 1000000000"
BOUNDED = "must be at least 1 and at most 1000000"

# What is written instead of what, and the place of the mistake with its message. More of them are
# in golden/faults.json.
MISTAKES = {
    "{name: lstm, hidden_size: 16} -> lsmt": (
        "6:9: model.cell: no cell named 'lsmt'; did you mean 'lstm'? (seqgen list cells)"
    ),
    "max_steps -> max_stops": (
        "9:3: train.max_stops: not an option of section 'train'; did you mean 'max_steps'? (lr,"
    ),
    "lr: 1e-2 -> lr: 1e-2\n  optimizer: {name: adam_w}": (
        "9:21: train.optimizer.name: no optimizer named 'adam_w'; did you mean 'adamw'?"
    ),
    "{name: lstm, hidden_size: 16} -> {hidden_size: 16}": (
        "6:9: model.cell: `name` is missing: which cell? (one of gru, gru_cell, "
    ),
    "name: lstm, -> name: [lstm],": (
        '6:16: model.cell.name: must be a cell\'s name, but is ["lstm"]'
    ),
    "{name: lstm, hidden_size: 16} -> [lstm]": (
        '6:9: model.cell: must be a cell\'s name, or name and options, but is ["lstm"]'
    ),
    "{name: lstm, hidden_size: 16} -> ": (
        "6:8: model.cell: must be a cell's name, or name and options, but is null"
    ),
    '{prompts: ["the "], length: 20, temperatures: [0, 0.8]} -> 3': (
        "13:10: samples: must be a mapping of options, but is 3"
    ),
    "  cell: {name: lstm, hidden_size: 16}\n -> ": (
        "4:3: model: `cell` is missing; model 'language_model' needs it"
    ),
    "data: {name: text, path: text.txt, batch_size: 4, window: 16}\n -> ": (
        "2:1: `data` is missing; a recipe needs it"
    ),
    "  max_steps: 12\n -> ": (
        "8:3: train: `max_steps`, `max_epochs` or `max_seconds` must say when to stop"
    ),
    "batch_size: 4 -> split: [0, 0.5, 0.5]": (
        "2:7: data: `split` must add up to at most 1 and have a share to train on, but is"
    ),
    "hidden_size: 16 -> dropout: 0.5": (
        "6:9: model.cell: `dropout` is between layers: `layers` must be at least 2, but is 1"
    ),
    "{name: lstm, hidden_size: 16} -> {name: stack, cells: []}": (
        "6:9: model.cell: `cells` must be at least 1 long, but is empty"
    ),
    "{name: lstm, hidden_size: 16} -> {name: stack, cells: [lstm, {name: lstm_cell, layers: 2}]}": (
        "6:55: model.cell.cells.1.layers: not an option of cell 'lstm_cell' ("
    ),
    "lr: 1e-2 -> lr: 1e-2\n  optimizer: {weight_decay: -1}": (
        "9:14: train.optimizer: Invalid weight_decay value: -1.0"
    ),
    "hidden_size: 16 -> hidden_size: 16, name: lstm_cell": (
        "6:39: model.cell.name: duplicate key; the first is at 6:10"
    ),
    '["the "] -> a': "13:20: samples.prompts: must be a list, but is 'a'",
}

# A path in the recipe, values that it may not have, and what it must be.
RANGES = [
    ("train.lr", "0 -1 -1e-9 1e300", f"{POSITIVE}, but is"),
    ("train.lr", ".nan .inf -.inf 1e400", f"{POSITIVE}, but is"),
    ("train.lr", "x '3e-3' [1] true null", "must be a number, but is"),
    ("model.cell.hidden_size", "0 -3 1000001 99999999999999999999", f"{BOUNDED}, but is"),
    ("model.cell.hidden_size", "2.5 1e3 '8' true .nan null", "must be an integer, but is"),
    ("model.cell.layers", "0 1001", "must be at least 1 and at most 1000, but is"),
    ("model.embedding.size", "0", f"{BOUNDED}, but is"),
    ("data.batch_size", "0 -1 1000001", f"{BOUNDED}, but is"),
    ("data.window", "0 -1 1000001", f"{BOUNDED}, but is"),
    ("data.split", "[0.8,.nan,0.1]", "must be at least 0 and at most 1, but is"),
    ("data.split", "[0.8]", "must be longer, but is"),
    ("data.path", "3", "must be a string, but is"),
    ("model.dropout", "1.5 1 -0.1", "must be at least 0 and less than 1, but is"),
    ("model.dropout", ".nan", "must be at least 0 and less than 1, but is"),
    ("decoder.temperature", "-1 -1e-9 1e300", f"{NOT_NEGATIVE}, but is"),
    ("decoder.temperature", "-.inf .nan", f"{NOT_NEGATIVE}, but is"),
    ("samples.temperatures", "[-1] [1e300]", f"{NOT_NEGATIVE}, but is"),
    ("samples.length", "-1 1000000001", f"{NOT_NEGATIVE}, but is"),
    ("samples.prompts", "[]", "must be at least 1 long, but is"),
    ("train.max_steps", "0 -5", "must be at least 1 and at most"),
    ("train.max_epochs", "0 -1", f"{POSITIVE}, but is"),
    ("train.max_seconds", ".inf", f"{POSITIVE}, but is"),
    ("train.clip_norm", "0 -1", f"{POSITIVE}, but is"),
    ("train.warmup_steps", "-1 1.5", "must be a"),
    ("train.patience", "0", "must be at least 1 and at most"),
    ("train.log_every", "0", "must be at least 1 and at most"),
    ("train.validate_every", "0", "must be at least 1 and at most"),
    ("train.validations", "-1", "must be at least 0 and at most"),
    ("train.precision", "float64", "must be 'auto', 'float32' or 'bfloat16', but is 'float64'"),
    ("train.schedule.floor", "2 -0.1", "must be at least 0 and at most 1, but is"),
    ("train.optimizer.betas", "[0.9]", "must be longer, but is"),
    ("train.optimizer.eps", ".nan", "must be at least -1e+30 and at most 1e+30, but is"),
    ("seed", "-1 9223372036854775808", "must be at least 0 and less than 9223372036854775808"),
    ("seed", "1.5 true x null", "must be an integer, but is"),
    ("threads", "0 1025", "must be at least 1 and at most 1024 or 'auto', but is"),
    ("threads", "atuo 2.5", "must be an integer or 'auto', but is"),
    ("device", "cdua", "must be 'auto', 'cpu' or 'cuda', but is 'cdua'"),
    ("description", "3", "must be a string, but is 3"),
    ("plugins", "my_cell.py", "must be a list, but is 'my_cell.py'"),
]
ROWS = [(path, value, wanted) for path, values, wanted in RANGES for value in values.split()]


class TestMistakesInTheFile:
    @pytest.mark.parametrize("mistake", MISTAKES)
    def test_one_line_with_the_place(self, mistake, place, refusal):
        place.recipe(*mistake.split(" -> "))
        assert refusal(3, "run", "tiny.yaml").startswith(f"tiny.yaml:{MISTAKES[mistake]}")

    def test_the_options_of_a_part_come_with_their_file_and_line(self, place, refusal):
        place.recipe("hidden_size", "hiden_size")
        options, _, where = refusal(3, "run", "tiny.yaml").removesuffix(")").rpartition("; ")
        assert "(hidden_size, layers, dropout, " in options
        file, number = where.split(":")
        text = (Path(__file__).parent.parent / file).read_text().splitlines()[int(number) - 1]
        assert text.startswith('@cells.register("lstm")')

    @pytest.mark.parametrize("content", [b"", b"# nothing\n", b"[1]", b"3", b"a: 1\n---\nb: 2\n"])
    def test_a_file_that_is_no_recipe(self, content, place, refusal):
        place.write("tiny.yaml", content)
        assert refusal(3, "run", "tiny.yaml").startswith("tiny.yaml:")

    def test_yaml_1_2_numbers_reach_the_options(self, place):
        for written, meant in [("1e-3", 0.001), ("3E-4", 0.0003), (".5", 0.5), ("1", 1.0)]:
            place.recipe("lr: 1e-2", f"lr: {written}")
            assert read_recipe(Path("tiny.yaml")).train.lr == meant


class TestMistakesInOverrides:
    @pytest.mark.parametrize(("path", "value", "wanted"), ROWS)
    def test_ranges(self, path, value, wanted, place):
        with pytest.raises(RecipeError) as caught:
            read_recipe(Path("tiny.yaml"), [f"{path}={value}"])
        assert str(caught.value).startswith(f"override {path}={value}: {path}: ")
        assert wanted in str(caught.value)

    @pytest.mark.parametrize(
        ("override", "message"),
        [
            ("model.cell=lsmt", "model.cell: no cell named 'lsmt'; did you mean 'lstm'?"),
            ("model.cell={name: lstm, layres: 2}", "model.cell.layres: not an option of cell"),
            ("model.cell={}", "model.cell: `name` is missing: which cell? (one of gru,"),
            ("model.cell.layres=2", "model.cell.layres: not an option of cell 'lstm'; did you"),
            ("model.head.biass=true", "model.head.biass: not an option of head 'linear'"),
            ("a=b=c", "a: not an option of a recipe (data, model"),
            ("train.optimizer.lr=1", "train.optimizer.lr: not an option of optimizer 'adamw'"),
            ("tokenizer.unk=eror", "tokenizer.unk: must be 'token' or 'error', but is 'eror'"),
            ("samples.temperatures.9=1", "no such key '9'"),
            ("train={}", "train: `max_steps`, `max_epochs` or `max_seconds` must say when"),
            ("model.cell={name: stack, cells: [lstm, x]}", "model.cell.cells.1: no cell named"),
        ],
    )
    def test_the_override_is_named(self, override, message, refusal):
        line = refusal(3, "run", "tiny.yaml", "train.lr=3e-3", override)
        assert line.startswith(f"override {override}: {message}")

    @pytest.mark.parametrize(
        ("override", "place_in_file"),
        [
            ("model.cell.dropout=0.5", "6:9: model.cell: "),
            ("data.split=[0.5,0.5,0.5]", "2:7: data: "),
            ("train.max_steps=null", "8:3: train: "),
            ("samples.temperatures.0=-1", "13:56: samples.temperatures: "),
        ],
    )
    def test_file_and_override_are_named_where_either_may_be_at_fault(
        self, override, place_in_file, refusal
    ):
        line = refusal(3, "run", "tiny.yaml", "seed=3", override)
        assert line.startswith(f"tiny.yaml:{place_in_file}")
        assert line.endswith(f" (with override {override})")

    def test_a_mistake_in_the_file_is_not_blamed_on_an_override_next_to_it(self, place, refusal):
        place.recipe("hidden_size: 16", "hidden_size: x")
        line = refusal(3, "run", "tiny.yaml", "model.cell.layers=2", "model.dropout=0.1")
        assert line == "tiny.yaml:6:35: model.cell.hidden_size: must be an integer, but is 'x'"

    def test_the_last_of_two_overrides_is_blamed(self, refusal):
        line = refusal(3, "run", "tiny.yaml", "train.lr=1", "train.lr=-1")
        assert line.startswith("override train.lr=-1: ")

    def test_codes_in_an_override_do_not_act_on_the_terminal(self, refusal):
        assert "\\x1b[31m" in refusal(3, "run", "tiny.yaml", "\x1b[31mtrain.lr=1")


class TestRecipe:
    def test_every_option_is_written_out_and_reads_back_as_the_same_recipe(self, place):
        recipe = read_recipe(Path("tiny.yaml"), ["model.cell=lstm_cell", "train.lr=.5"])
        place.write("again.yaml", recipe.text())
        again = read_recipe(Path("again.yaml"))
        assert again == recipe
        assert again.text() == recipe.text()
        head = {"name": "linear", "bias": True, "label_smoothing": 0.0, "unigram_bias": False}
        assert recipe.plain()["model"]["head"] == head
        assert recipe.plain()["train"]["lr"] == 0.5

    def test_it_is_frozen(self, place):
        recipe = read_recipe(Path("tiny.yaml"))
        with pytest.raises(dataclasses.FrozenInstanceError):
            recipe.seed = 3
        with pytest.raises(TypeError):
            recipe.model.options["dropout"] = 0.5

    @pytest.mark.parametrize("name", sorted(bundled_recipes()))
    def test_the_bundled_ones_are_right(self, name, command):
        ended = command("validate", name, "--json")
        assert ended.code == 0, ended.err
        assert json.loads(ended.out)["description"]

    def test_plugins_are_known_before_anything_is_checked(self, place):
        place.write("tiny.yaml", "plugins: [a.py, 3]\nmodel: {cell: not_there}\n")
        for overrides, named in (
            ([], ["a.py"]),
            (["plugins=[b.py]"], ["b.py"]),
            (["plugins=x"], []),
        ):
            assert named_plugins(ConfigFile.read(Path("tiny.yaml"), overrides)) == named


@pytest.fixture(scope="module")
def schema():
    return json.loads(json.dumps(recipe_schema()))


class TestSchema:
    @pytest.mark.parametrize("name", sorted(bundled_recipes()))
    def test_it_accepts_the_bundled_recipes(self, name, schema):
        data = ConfigFile.read(bundled_recipes()[name]).document.data
        assert accepts(schema, data, schema["$defs"])

    @pytest.mark.parametrize(
        ("change", "right"),
        [
            (" -> ", True),
            ("{name: lstm, hidden_size: 16} -> lstm_cell", True),
            ("name: lstm, -> name: lsmt,", False),
            ("hidden_size: 16 -> hiden_size: 16", False),
            ("hidden_size: 16 -> hidden_size: 0", False),
            ("lr: 1e-2 -> lr: 0", False),
            ("max_steps -> max_stops", False),
            ("data: -> dta:", False),
        ],
    )
    def test_it_accepts_what_is_right_and_refuses_what_is_not(self, change, right, place, schema):
        data = ConfigFile.read(place.recipe(*change.split(" -> "))).document.data
        assert accepts(schema, data, schema["$defs"]) == right

    def test_it_accepts_what_extends_a_recipe(self, schema):
        part = {"extends": "char_lstm", "model": {"cell": {"layers": 2}}}
        assert accepts(schema, part, schema["$defs"])
        assert not accepts(schema, {**part, "extends": 3}, schema["$defs"])

    def test_it_is_sound_for_a_validator_of_all_of_json_schema(self, schema):
        validator = pytest.importorskip("jsonschema").validators.Draft202012Validator
        validator.check_schema(schema)
        for path in bundled_recipes().values():
            validator(schema).validate(ConfigFile.read(path).document.data)


class TestPaths:
    def test_what_cannot_be_read(self, place, refusal):
        (place.folder / "folder").mkdir()
        (place.folder / "loop").symlink_to("loop")
        (place.folder / "dangling").symlink_to("nowhere")
        assert refusal(3, "run", "folder") == "folder: this is a directory; a YAML file is needed"
        assert refusal(3, "run", "dangling").endswith("cannot be read: No such file or directory")
        assert "cannot be read: Too many levels of symbolic links" in refusal(3, "run", "loop")

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
    def test_unreadable(self, place, refusal):
        place.recipe().chmod(0)
        assert refusal(3, "run", "tiny.yaml") == "tiny.yaml: cannot be read: Permission denied"

    @pytest.mark.parametrize(
        "wanted", ["none.yaml", "tiny.yaml/x", "", "x" * 300, "a\nb", "\ud800"]
    )
    def test_what_is_not_there(self, wanted, refusal):
        line = refusal(3, "run", wanted)
        assert "no such recipe" in line
        assert "a path, or one of char_gru, char_lstm, " in line

    def test_the_interface_raises_a_recipe_error(self, place):
        with pytest.raises(RecipeError):
            read_recipe(Path("none.yaml"))
