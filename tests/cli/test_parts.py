"""The verbs about parts: list, check, new."""

import importlib
import json
import re
import sys
from pathlib import Path

import pytest

from seqgen.cli.parts import Kind, new_files
from seqgen.plugins import ROOMS


@pytest.mark.parametrize("kind", [None, *ROOMS])
def test_as_json(kind, command):
    ended = command("list", *([kind] if kind else []), "--json")
    assert (ended.code, ended.err) == (0, "")
    found = json.loads(ended.out)
    assert list(found) == ([kind] if kind else list(ROOMS))
    for room, parts in found.items():
        assert [part["name"] for part in parts] == list(ROOMS[room].names())
        for part in parts:
            assert set(part) == {"name", "options", "summary", "where"}
            assert list(part["options"]) == list(ROOMS[room].entry(part["name"]).options)
            assert part["where"].rpartition(":")[2].isdecimal()


def test_options_come_with_their_defaults(command):
    parts = json.loads(command("list", "--json").out)
    options = {room: {p["name"]: p["options"] for p in parts[room]} for room in parts}
    assert options["cells"]["lstm"]["hidden_size"] == 256
    assert options["cells"]["stack"]["cells"] == "(required)"
    assert options["models"]["language_model"]["head"] == "linear"
    assert options["data"]["text"]["split"] == [0.8, 0.1, 0.1]
    assert "lr" not in options["optimizers"]["adamw"], "it is the recipe's train.lr"
    assert "vocab_size" not in options["embeddings"]["learned"]


def test_for_reading(output, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    told = output("list", "cells")
    lines = told.splitlines()
    assert lines[0] == "cells"
    assert any(line.startswith("  lstm_cell  One layer of `lstm`") for line in lines)
    assert any("hidden_size=256" in line for line in lines)
    assert any(line.strip().startswith("seqgen/cells/native.py:") for line in lines)
    summary = ROOMS["cells"].entry("lstm").summary
    assert len(summary) > 60
    assert summary in told, "lines are not cut on a pipe"
    everything = output("list")
    assert told in everything
    assert all(f"\n{room}\n" in f"\n{everything}" for room in ROOMS)


# What the verbs refuse; what `validate` does of recipes is in tests/test_recipe.py, and of plans in
# tests/comparison/test_systems.py.
NO_SUCH_FILE = "plugin @here/none.py: no such file"


@pytest.mark.parametrize(
    ("code", "words", "said"),
    [
        (2, "list x", "no kind of part named 'x' (…tokenizers, data, corpora…"),
        (2, "check none.py", "none.py: no such file"),
        (2, "check lsmt", "…no part named 'lsmt'; did you mean 'lstm'?…"),
        (3, "check lstm --set x", "--set x: must be of the form…"),
        *(
            (2, f"new cell '{name}'", "NAME must be a Python identifier such as…")
            for name in ("1a", "my-cell", "class", "a b", "../x", "_x", "", "é")
        ),
        (2, "new cell json", "…would hide the Python module 'json'…"),
        (2, "new bridge mine", "…'cell', 'head', 'embedding', 'encoder', 'atten…"),
        *(
            (7, f"new cell {part}", f"{name}: already exists; choose another name, or move it…")
            for part, name in (("one", "one.py"), ("two", "two.yaml"), ("three", "test_three.py"))
        ),
        *(
            (8, f"{verb} --plugin none.py", NO_SUCH_FILE)
            for verb in ("schema", "data", "data get unicode_names")
        ),
        (
            *(3, "validate tiny.yaml model.cell.dropout=0.5"),
            "tiny.yaml:6:9: model.cell: `dropout` is between layers: `layers` must be at least 2, "
            "but is 1 (with override model.cell.dropout=0.5)",
        ),
        (
            *(3, "validate tiny.yaml 'train.optimizer={name: sgd, nesterov: true}'"),
            "override train.optimizer={name: sgd, nesterov: true}: train.optimizer: Nesterov "
            "momentum requires…",
        ),
        (3, "validate seq2seq", "seq2seq: no such recipe…"),
        (3, "validate plan.yaml", "plan.yaml:1:1: strategies: not an option of a recipe…"),
        *(
            (3, f"validate --plan {words}", said)
            for words, said in {
                "seq2seq 'best_of.decoder={name: beam, n_best: 9}'": (
                    "override best_of.decoder={name: beam, n_best: 9}: best_of.decoder: `n_best` …"
                ),
                "char_lstm": "char_lstm: no such plan; it is a recipe (seqgen run char_lstm)…",
                "tiny.yaml": "tiny.yaml:2:1: data: not an option of a plan (strategies,…",
                "plan.yaml": "plan.yaml:1:70: strategies.0.grid.groups.0: `groups` must divide "
                "`beam_size`…",
            }.items()
        ),
        (2, "data get tiny_shakespear", "…no corpus named 'tiny_shakespear'; did you mean '…"),
    ],
)
def test_refusals(code, words, said, refused, place):
    for name in ("one.py", "two.yaml", "test_three.py"):
        place.write(name, "mine")
    grid = "{beam_size: [7], groups: [2]}"
    place.write("plan.yaml", f"strategies: [{{decoder: diverse_beam, grid: {grid}}}]\n")
    refused(code, words, said.replace("@here", str(place.folder)))


# The verb `check`.
BROKEN = """
import torch
from seqgen.cells import Cell, cells

@cells.register("second")
class Second(Cell):
    def __init__(self, input_size: int):
        super().__init__()
        self.output_size = 2
        self.map = torch.nn.Linear(input_size, 2)

    def initial_state(self, batch_size):
        return torch.zeros(1, batch_size, 2)

    def step(self, x, state):
        return self.map(x), state

cells.register("[red]owner[/x]")(lambda input_size, width: Second(input_size))
"""


def test_a_part_that_keeps_all_laws(command):
    ended = command("check", "cells.lstm_cell", "--set", "hidden_size=3")
    assert (ended.code, ended.err) == (0, "")
    assert "cells.lstm_cell" in ended.out
    assert "a row alone is the row in a batch" in ended.out
    assert "broken" not in ended.out


def test_a_file_with_two_parts_that_do_not(command, place):
    place.write("second.py", BROKEN)
    ended = command("check", "second.py")
    assert ended.code == 8
    assert ended.err == "cells.second: 1 law broken\n"
    [line] = [line for line in ended.out.splitlines() if "must be dimension 0" in line]
    assert "a state tensor of [1, 4, 2]: batch must be dimension 0" in line
    [line] = [line for line in ended.out.splitlines() if "`width` is missing" in line]
    assert line.startswith("not tried")
    assert line.endswith("give it with --set NAME=VALUE")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            "decoders.top_k",
            "decoders.top_k: `k` is missing; decoder 'top_k' needs it; give it with --set",
        ),
        ("greedy --set k=3", "decoders.greedy: k: not an option of decoder 'greedy' ("),
        ("recurrent --set cell=lsmt", "encoders.recurrent: cell: no cell named 'lsmt'; did you"),
    ],
)
def test_options_that_are_missing_or_wrong_are_no_broken_law(words, said, command):
    ended = command("check", *words.split())
    assert ended.code == 2
    assert ended.err.startswith(said)
    assert "broken" not in ended.out


def test_for_programs(command, place):
    place.write("broken.py", "import sys\nprint('noise')\nsys.exit(3)")
    ended = command("check", "broken.py", "--json")
    assert ended.code == 8
    [found] = json.loads(ended.out)
    assert found["part"] == "broken.py"
    [law] = found["laws"]
    assert (law["law"], law["outcome"]) == ("is imported", "broken")
    assert law["says"] == "it ended the process with exit code 3; the last it said: noise"


# The verb `new`: what it writes works, and nothing is overwritten.
KINDS = [str(kind) for kind in Kind]


@pytest.fixture(autouse=True)
def _own_registries(own_registries):
    """Each test begins with the parts of the package alone."""


PLACES = {
    **{
        kind: lambda recipe, kind=kind: recipe["model"][kind]
        for kind in ("cell", "head", "embedding", "encoder", "attention")
    },
    "truncation": lambda recipe: recipe["decoder"]["truncations"][0],
    "draft": lambda recipe: recipe["decoder"]["draft"],
    "constraint": lambda recipe: recipe["decoder"]["constraints"][0],
    "tracker": lambda recipe: recipe["trackers"][0],
    "metric": lambda recipe: recipe["metrics"][1],
}
"""Where a recipe names a part, if not under its kind."""


@pytest.mark.parametrize("kind", KINDS)
def test_the_recipe_uses_the_part(kind, output, place):
    files = ["a_part.py", "a_part.yaml", "test_a_part.py"]
    assert output("new", kind, "a_part").splitlines()[:3] == [f"wrote {each}" for each in files]
    recipe = json.loads(output("validate", "a_part.yaml", "--json"))
    assert PLACES.get(kind, lambda recipe: recipe[kind])(recipe)["name"] == "a_part"
    assert recipe["plugins"] == [str(place.folder / "a_part.py")]
    entry = (ROOMS.get(kind) or ROOMS[f"{kind}s"]).entry("a_part")
    assert entry.factory.__name__ == "APart"
    assert entry.summary


def test_the_recipe_trains_it(command, place):
    command("new", "cell", "a_part")
    small = ["train.max_steps=3", "train.validations=1", "samples.length=5", "data.path=text.txt"]
    ended = command("run", "a_part.yaml", *small, "data.batch_size=4", "threads=1", "--out", "run")
    assert ended.code == 0, ended.err
    recipe = (place.folder / "run" / "recipe.yaml").read_text(encoding="utf-8")
    assert "name: a_part" in recipe
    assert json.loads((place.folder / "run" / "result.json").read_bytes())["train"]["steps"] == 3


@pytest.mark.parametrize("kind", KINDS)
def test_its_test_of_the_laws_of_its_kind_passes(kind, command, place, monkeypatch):
    command("new", kind, f"a_{kind}_here")
    monkeypatch.syspath_prepend(str(place.folder))
    test = importlib.import_module(f"test_a_{kind}_here")
    try:
        test.test_it_keeps_the_laws_of_its_kind()
    finally:
        for name in (f"a_{kind}_here", f"test_a_{kind}_here"):
            del sys.modules[name]


def test_a_cell_is_at_most_25_lines(output, place):
    output("new", "cell", "my_cell")
    lines = (place.folder / "my_cell.py").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 25
    assert max(map(len, lines)) <= 100


@pytest.mark.parametrize(
    ("name", "wanted"),
    [("my_cell", "MyCell"), ("a1_b", "A1B"), ("MyCell", "MyCell"), ("cell", "MyCell")],
)
def test_names_of_classes(name, wanted):
    """A part that is called like its base class has another one."""
    assert f"class {wanted}(Cell):" in new_files(Kind.cell, name)[Path(f"{name}.py")]


class TestThePages:
    """docs/plugins walks through what `seqgen new` writes; so the pages, too, are tested."""

    FOLDER = Path(__file__).parents[2] / "docs" / "plugins"

    def blocks(self, kind, language):
        page = (self.FOLDER / f"{kind}.md").read_text(encoding="utf-8")
        return re.findall(rf"^```{language}\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)

    @pytest.mark.parametrize("kind", list(Kind))
    def test_they_show_what_is_written(self, kind):
        files = new_files(kind, f"my_{kind}")
        part, recipe = files[Path(f"my_{kind}.py")], files[Path(f"my_{kind}.yaml")]
        assert (self.FOLDER / f"my_{kind}.py").read_text(encoding="utf-8") == part
        assert self.blocks(kind, "python") == [part]
        assert self.blocks(kind, "yaml") == [recipe]

    def test_the_overview_counts_their_lines(self):
        overview = (self.FOLDER / "README.md").read_text(encoding="utf-8")
        for kind in KINDS:
            lines = (self.FOLDER / f"my_{kind}.py").read_text(encoding="utf-8").count("\n")
            assert re.search(rf"\({kind}\.md\) \|.*\| {lines} \|", overview)
