"""The verb `list`."""

import hashlib
import importlib
import json
import re
import subprocess
import sys
import threading
from functools import partial
from http.server import HTTPServer, SimpleHTTPRequestHandler
from pathlib import Path

import pytest

from seqgen.cells import cells
from seqgen.cli.parts import Kind, new_files
from seqgen.comparison import plan_schema
from seqgen.config import ConfigFile, bundled_plans, bundled_recipes, find_file
from seqgen.data import corpora
from seqgen.data.corpora import TinyShakespeare
from seqgen.plugins import ROOMS, load_files
from seqgen.recipe import recipe_schema
from seqgen.testing.child import CHECKS


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


def test_for_reading(command):
    ended = command("list", "cells")
    lines = ended.out.splitlines()
    assert lines[0] == "cells"
    assert any(line.startswith("  lstm_cell  One layer of `lstm`") for line in lines)
    assert any("hidden_size=256" in line for line in lines)
    assert any(line.strip().startswith("seqgen/cells/native.py:") for line in lines)
    everything = command("list").out
    assert ended.out in everything
    assert all(f"\n{room}\n" in f"\n{everything}" for room in ROOMS)


def test_lines_are_not_cut_on_a_pipe(command, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    summary = ROOMS["cells"].entry("lstm").summary
    assert len(summary) > 60
    assert summary in command("list", "cells").out


@pytest.mark.parametrize(
    ("kind", "near"),
    [("cell", "; did you mean 'cells'?"), ("decodres", "; did you mean 'decoders'?"), ("x", " (")],
)
def test_a_kind_that_is_none(kind, near, refusal):
    told = refusal(2, "list", kind)
    assert told.startswith(f"no kind of part named '{kind}'{near}")
    assert "tokenizers, data, corpora" in told


@pytest.mark.parametrize("kind", ["recipes", "plans"])
def test_what_comes_along(kind, command):
    known = {"recipes": bundled_recipes, "plans": bundled_plans}[kind]()
    found = json.loads(command("list", kind, "--json").out)[kind]
    assert [each["name"] for each in found] == list(known)
    assert all(each["description"] for each in found)
    assert all(bool(each["budget"]) == (kind == "recipes") for each in found)
    table = command("list", kind).out
    assert max(map(len, table.splitlines())) <= 80
    assert all(name in table for name in known)


def test_a_recipe_is_told_with_its_time(command):
    told = " ".join(command("list", "recipes").out.split())
    assert "char_rnn 120 s A character RNN, two minutes of training" in told
    assert "hangul_seq2seq 8 epochs Hangul letters" in told
    assert "lectures/char_lstm 5,000 steps The lecture's character RNN, with nn.LSTM" in told


def test_recipes_are_told_without_torch(monkeypatch, command):
    monkeypatch.setitem(sys.modules, "seqgen.plugins", None)
    assert "char_lstm" in command("list", "recipes").out


def test_a_reader_that_goes_away_is_no_fault():
    process = subprocess.Popen(
        [sys.executable, "-m", "seqgen", "list"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    process.stdout.close()
    _, said = process.stderr.read(), process.stderr.close()
    assert process.wait(timeout=600) == 0
    assert not said


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
    assert ended.err == "cells.[red]owner[/x], cells.second: 2 laws broken\n"
    [line] = [line for line in ended.out.splitlines() if "must be dimension 0" in line]
    assert "a state tensor of [1, 4, 2]: batch must be dimension 0" in line
    assert "`width` is missing" in ended.out
    assert "say it with --set" in ended.out


def test_for_programs(command, place):
    place.write("broken.py", "import sys\nprint('noise')\nsys.exit(3)")
    ended = command("check", "broken.py", "--json")
    assert ended.code == 8
    [found] = json.loads(ended.out)
    assert found["part"] == "broken.py"
    [law] = found["laws"]
    assert (law["law"], law["outcome"]) == ("is imported", "broken")
    assert law["says"] == "it ended the process with exit code 3; the last it said: noise"


def test_a_file_that_is_not_there(refusal):
    assert refusal(2, "check", "none.py") == "none.py: no such file"
    assert "no part named 'lsmt'; did you mean 'lstm'?" in refusal(2, "check", "lsmt")


def test_settings_must_be_settings(refusal):
    assert refusal(3, "check", "lstm", "--set", "x").startswith("--set x: must be of the form")


# The verb `new`: what it writes works, and nothing is overwritten.


KINDS = [str(kind) for kind in Kind]


@pytest.fixture(autouse=True)
def _own_registries(own_registries):
    """Each test begins with the parts of the package alone."""


@pytest.mark.parametrize("kind", KINDS)
def test_the_part_keeps_the_laws_of_its_kind(kind, command, place):
    ended = command("new", kind, "a_part")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.splitlines()[:3] == [
        "wrote a_part.py", "wrote a_part.yaml", "wrote test_a_part.py",
    ]  # fmt: skip
    load_files([str(place.folder / "a_part.py")])
    CHECKS[f"{kind}s"].check("a_part").require()
    entry = ROOMS[f"{kind}s"].entry("a_part")
    assert entry.factory.__name__ == "APart"
    assert entry.summary


@pytest.mark.parametrize("kind", KINDS)
def test_the_recipe_uses_it(kind, command, place):
    command("new", kind, "a_part")
    recipe = json.loads(command("validate", "a_part.yaml", "--json").out)
    owner = recipe["model"] if kind in ("cell", "head") else recipe
    assert owner[kind]["name"] == "a_part"
    assert recipe["plugins"] == [str(place.folder / "a_part.py")]


def test_the_recipe_trains_it(command, place):
    command("new", "cell", "a_part")
    small = ["train.max_steps=3", "train.validations=1", "samples.length=5", "data.path=text.txt"]
    ended = command("run", "a_part.yaml", *small, "data.batch_size=4", "threads=1", "--out", "run")
    assert ended.code == 0, ended.err
    recipe = (place.folder / "run" / "recipe.yaml").read_text(encoding="utf-8")
    assert "name: a_part" in recipe
    assert json.loads((place.folder / "run" / "result.json").read_bytes())["train"]["steps"] == 3


@pytest.mark.parametrize("kind", KINDS)
def test_its_test_passes(kind, command, place, monkeypatch):
    command("new", kind, f"a_{kind}_here")
    monkeypatch.syspath_prepend(str(place.folder))
    test = importlib.import_module(f"test_a_{kind}_here")
    try:
        getattr(test, f"test_it_keeps_the_laws_of_{kind}s")()
    finally:
        for name in (f"a_{kind}_here", f"test_a_{kind}_here"):
            del sys.modules[name]


def test_a_cell_is_at_most_25_lines(command, place):
    command("new", "cell", "my_cell")
    lines = (place.folder / "my_cell.py").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 25
    assert max(map(len, lines)) <= 100


def test_the_class_is_called_like_the_part(command, place):
    command("new", "cell", "my_cell")
    assert "class MyCell(Cell):" in (place.folder / "my_cell.py").read_text(encoding="utf-8")


def test_a_name_that_is_its_base_class(command, place):
    command("new", "cell", "cell")
    assert "class MyCell(Cell):" in (place.folder / "cell.py").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["my_cell.py", "my_cell.yaml", "test_my_cell.py"])
def test_nothing_is_overwritten(name, place, refusal):
    place.write(name, "mine")
    told = refusal(7, "new", "cell", "my_cell")
    assert told == f"{name}: is there already; choose another name, or move it away"


@pytest.mark.parametrize("name", ["1a", "my-cell", "class", "a b", "../x", "_x", "", "é"])
def test_what_is_no_identifier(name, refusal):
    assert refusal(2, "new", "cell", name).startswith("NAME must be a Python identifier such as")


def test_names_that_are_taken(refusal):
    assert "the cell name 'lstm' is taken by seqgen/cells/native.py:" in refusal(
        2, "new", "cell", "lstm"
    )
    assert "would hide the Python module 'json'" in refusal(2, "new", "cell", "json")
    assert "'cell', 'head', 'tokenizer', 'decoder'" in refusal(2, "new", "model", "mine")


@pytest.mark.parametrize(
    ("name", "wanted"), [("my_cell", "MyCell"), ("a1_b", "A1B"), ("MyCell", "MyCell")]
)
def test_names_of_classes(name, wanted):
    assert f"class {wanted}(" in new_files(Kind.cell, name)[Path(f"{name}.py")]


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

    @pytest.mark.parametrize("kind", KINDS)
    def test_the_files_beside_them_keep_the_laws(self, kind):
        load_files([str(self.FOLDER / f"my_{kind}.py")])
        CHECKS[f"{kind}s"].check(f"my_{kind}").require()

    def test_the_overview_counts_their_lines(self):
        overview = (self.FOLDER / "README.md").read_text(encoding="utf-8")
        for kind in KINDS:
            lines = (self.FOLDER / f"my_{kind}.py").read_text(encoding="utf-8").count("\n")
            assert re.search(rf"\({kind}\.md\) \|.*\| {lines} \|", overview)


# The verb `schema`; what the schema accepts is in tests/test_recipe.py.


PLUGIN = '''
from seqgen.cells import cells


@cells.register("mine")
def mine(input_size: int, leak: float = 0.5):
    """A cell of mine."""
'''


def test_it_is_the_json_schema_of_recipes(command):
    ended = command("schema")
    assert (ended.code, ended.err) == (0, "")
    schema = json.loads(ended.out)
    assert schema == json.loads(json.dumps(recipe_schema()))
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert {"data", "model", "train"} <= set(schema["required"])
    assert all(f'"{name}"' in ended.out for name in cells.names())
    assert "hidden_size" in ended.out


def test_with_a_flag_it_is_that_of_plans(command):
    ended = command("schema", "--plan")
    assert (ended.code, ended.err) == (0, "")
    assert json.loads(ended.out) == json.loads(json.dumps(plan_schema()))


@pytest.mark.parametrize("words", [[], ["--plan"]])
def test_every_reference_leads_somewhere(words, command):
    schema = json.loads(command("schema", *words).out)
    found = []

    def walk(node):
        if isinstance(node, dict):
            found.extend([node["$ref"]] if "$ref" in node else [])
            node = list(node.values())
        for each in node if isinstance(node, list) else []:
            walk(each)

    walk(schema)
    assert found
    for reference in found:
        target = schema
        for step in reference.removeprefix("#/").split("/"):
            target = target[step]
        assert target


@pytest.mark.usefixtures("own_registries")
def test_a_part_of_a_plugin_is_in_it(command, place):
    place.write("more.py", PLUGIN)
    schema = json.loads(command("schema", "--plugin", "more.py").out)
    mine = schema["$defs"]["cells.mine"]
    assert mine["description"] == "A cell of mine."
    bounds = {"minimum": -1e30, "maximum": 1e30}
    assert mine["properties"]["leak"] == {"type": "number", "default": 0.5, **bounds}
    assert '"mine"' in json.dumps(schema["$defs"]["cells"])


def test_a_plugin_that_is_not_there(refusal, place):
    told = refusal(8, "schema", "--plugin", "none.py")
    assert told == f"plugin {place.folder / 'none.py'}: no such file"


# The verb `validate`; what it refuses is in tests/test_recipe.py, and of plans in
# tests/comparison/test_plan_source.py.


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


PLUGIN_VALIDATE = '''
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
        place.write("more.py", PLUGIN_VALIDATE)
        place.write("plan.yaml", "strategies: [{decoder: mine, grid: {strength: [1, 2]}}]\n")
        words = ["validate", "--plan", "plan.yaml"]
        assert command(*words).err.startswith(
            "plan.yaml:1:24: strategies.0.decoder: no decoder nam"
        )
        assert command(*words, "--plugin", "more.py").out == "plan.yaml: a valid plan\n"


# The verb `data`.


CONTENT = b"First Citizen:\nBefore we proceed any further, hear me speak.\n"


class Quiet(SimpleHTTPRequestHandler):
    """A server of files that says nothing."""

    def log_message(self, *words):
        pass


@pytest.fixture
def server(place, monkeypatch):
    """A server on loopback from which the corpus comes."""
    place.write("site/input.txt", CONTENT)
    monkeypatch.setenv("SEQGEN_CACHE", str(place.folder / "cache"))
    with HTTPServer(("127.0.0.1", 0), partial(Quiet, directory=place.folder / "site")) as server:
        url = f"http://127.0.0.1:{server.server_port}/input.txt"
        monkeypatch.setattr(TinyShakespeare, "url", url)
        monkeypatch.setattr(TinyShakespeare, "size", len(CONTENT))
        monkeypatch.setattr(TinyShakespeare, "sha256", hashlib.sha256(CONTENT).hexdigest())
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield url
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")


def test_the_listing(command, monkeypatch, place):
    monkeypatch.setenv("SEQGEN_CACHE", str(place.folder / "cache"))
    ended = command("data", "--json")
    assert (ended.code, ended.err) == (0, "")
    found = {each["name"]: each for each in json.loads(ended.out)}
    assert list(found) == list(corpora.names())
    assert found["unicode_names"]["ready"]
    assert not found["tiny_shakespeare"]["ready"]
    assert all(each["summary"] for each in found.values())
    told = command("data").out
    assert "unicode_names  (ready)\n    " in told
    assert "tiny_shakespeare  (not here yet: seqgen data get tiny_shakespeare)" in told


def test_getting_one_makes_it_ready(command, server, place):
    assert command("data", "get", "tiny_shakespeare") == (0, "tiny_shakespeare: ready\n", "")
    assert (place.folder / "cache" / "tiny_shakespeare.txt").read_bytes() == CONTENT
    assert "tiny_shakespeare  (ready)" in command("data").out
    (place.folder / "site" / "input.txt").unlink()
    assert command("data", "get", "tiny_shakespeare").code == 0, "it is not fetched again"


def test_getting_one_that_comes_along_does_nothing(command):
    assert command("data", "get", "unicode_names") == (0, "unicode_names: ready\n", "")


def test_a_wrong_file_is_refused(refusal, server, place):
    place.write("site/input.txt", CONTENT.replace(b"speak", b"sneak"))
    told = refusal(4, "data", "get", "tiny_shakespeare")
    assert told.startswith(f"{server}: another file than expected (SHA-256 ")
    assert told.endswith("; a local file can be given instead: data.path=FILE")


def test_without_a_network(refusal, server, monkeypatch):
    monkeypatch.setattr(TinyShakespeare, "url", "http://127.0.0.1:9/input.txt")
    assert "cannot be fetched: Connection refused" in refusal(4, "data", "get", "tiny_shakespeare")


def test_a_name_that_is_none(refusal):
    told = refusal(2, "data", "get", "tiny_shakespear")
    assert "no corpus named 'tiny_shakespear'; did you mean 'tiny_shakespeare'?" in told


PLUGIN_DATA = '''
from pathlib import Path

from seqgen.data.corpora import Corpus, corpora
from seqgen.data.text_files import TextFile


@corpora.register("mine")
class Mine(Corpus):
    """What I wrote myself."""

    name = "mine"

    def ready(self):
        return Path("mine.txt").exists()

    def read(self):
        return TextFile.of(Path("mine.txt").read_text())

    def fetch(self, on_progress=None):
        Path("mine.txt").write_text("mine")
'''


@pytest.mark.usefixtures("own_registries")
def test_a_corpus_of_a_plugin_is_listed(command, place):
    place.write("corpus.py", PLUGIN_DATA)
    found = json.loads(command("data", "--plugin", "corpus.py", "--json").out)
    assert {"name": "mine", "ready": False, "summary": "What I wrote myself."} in found


@pytest.mark.usefixtures("own_registries")
@pytest.mark.parametrize(
    "words",
    [
        ("data", "get", "mine", "--plugin", "corpus.py"),
        ("data", "--plugin", "corpus.py", "get", "mine"),
    ],
)
def test_a_corpus_of_a_plugin_can_be_got(words, command, place):
    place.write("corpus.py", PLUGIN_DATA)
    assert command(*words) == (0, "mine: ready\n", "")
    assert (place.folder / "mine.txt").read_text() == "mine"


def test_a_plugin_that_is_not_there_data(refusal, place):
    for words in (["data"], ["data", "get", "unicode_names"]):
        told = refusal(8, *words, "--plugin", "none.py")
        assert told == f"plugin {place.folder / 'none.py'}: no such file"
