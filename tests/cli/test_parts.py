"""The verbs about parts and files: list, check, new, schema, validate, data."""

import hashlib
import importlib
import json
import re
import sys
from pathlib import Path

import pytest

from seqgen.cells import cells
from seqgen.cli.parts import Kind, new_files
from seqgen.comparison import plan_schema
from seqgen.config import ConfigFile, bundled_plans, bundled_recipes, find_file
from seqgen.data import corpora
from seqgen.data.corpora import TinyShakespeare
from seqgen.plugins import ROOMS
from seqgen.recipe import recipe_schema


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


@pytest.mark.parametrize("kind", ["recipes", "plans"])
def test_the_bundled_files_are_there(kind, command):
    known = {"recipes": bundled_recipes, "plans": bundled_plans}[kind]()
    found = json.loads(command("list", kind, "--json").out)[kind]
    assert [each["name"] for each in found] == list(known)
    assert all(each["description"] for each in found)
    assert all(bool(each["budget"]) == (kind == "recipes") for each in found)
    table = command("list", kind).out
    assert max(map(len, table.splitlines())) <= 80
    assert all(name in table for name in known)


def test_a_recipe_is_listed_with_its_budget_and_without_torch(output, monkeypatch):
    monkeypatch.setitem(sys.modules, "seqgen.plugins", None)
    told = " ".join(output("list", "recipes").split())
    assert "char_rnn 120 s A character RNN, two minutes of training" in told
    assert "hangul_seq2seq 8 epochs Hangul letters" in told
    assert "lectures/char_lstm 5,000 steps The lecture's character RNN, with nn.LSTM" in told


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


# The verb `schema`; what the schema accepts is in tests/test_recipe.py.
PLUGIN = '''
from pathlib import Path

from seqgen.cells import cells
from seqgen.data.corpora import Corpus, corpora
from seqgen.data.text_files import TextFile
from seqgen.decoders import Greedy, decoders


@decoders.register("mine")
def decoder(strength: float = 1.0):
    """A decoder of mine."""
    return Greedy()


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


@cells.register("mine")
def mine(input_size: int, leak: float = 0.5):
    """A cell of mine."""
'''


def test_it_is_the_json_schema_of_recipes_or_plans(output):
    told = output("schema")
    schema = json.loads(told)
    assert json.loads(output("schema", "--plan")) == json.loads(json.dumps(plan_schema()))
    assert schema == json.loads(json.dumps(recipe_schema()))
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert {"data", "model", "train"} <= set(schema["required"])
    assert all(f'"{name}"' in told for name in cells.names())
    assert "hidden_size" in told


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


def test_a_part_of_a_plugin_is_in_it(command, place):
    place.write("more.py", PLUGIN)
    schema = json.loads(command("schema", "--plugin", "more.py").out)
    mine = schema["$defs"]["cells.mine"]
    assert mine["description"] == "A cell of mine."
    bounds = {"minimum": -1e30, "maximum": 1e30}
    assert mine["properties"]["leak"] == {"type": "number", "default": 0.5, **bounds}
    assert '"mine"' in json.dumps(schema["$defs"]["cells"])


# The verb `validate`.
def test_a_right_recipe(output, place):
    """The data is not read, and a huge model costs nothing."""
    (place.folder / "text.txt").unlink()
    before = place.files()
    huge = "model.cell.hidden_size=1000000"
    told = output("validate", "tiny.yaml", "model.cell.layers=2", huge)
    assert told == "tiny.yaml: a valid recipe\n"
    assert place.files() == before
    assert output("validate", "char_lstm") == f"{find_file('char_lstm')}: a valid recipe\n"


def test_json_is_the_whole_recipe_which_is_a_recipe_again(command, place):
    ended = command("validate", "tiny.yaml", "train.lr=.5", "--json")
    recipe = json.loads(ended.out)
    assert recipe["train"]["lr"] == 0.5
    assert recipe["model"]["head"]["name"] == "linear"
    path = place.write("again.yaml", ended.out)  # JSON is YAML
    assert json.loads(command("validate", "again.yaml", "--json").out) == recipe
    assert ConfigFile.read(path).document.data == recipe


@pytest.mark.parametrize("name", sorted(bundled_plans()))
def test_bundled_plans_are_valid(name, output):
    told = output("validate", "--plan", name)
    assert told == f"{bundled_plans()[name]}: a valid plan\n"


def test_json_is_the_whole_plan_which_is_a_plan_again(output, place):
    told = output("validate", "seq2seq", "--plan", "seeds=7", "--json")
    plan = json.loads(told)
    assert (plan["seeds"], plan["baseline"]) == (7, "greedy")
    assert plan["strategies"][0]["decoder"] == {"name": "greedy", "constraints": []}
    place.write("again.yaml", told)
    assert json.loads(output("validate", "--plan", "again.yaml", "--json")) == plan


def test_a_plan_with_a_decoder_of_a_plugin(output, refused, place):
    place.write("more.py", PLUGIN)
    place.write("plan.yaml", "strategies: [{decoder: mine, grid: {strength: [1, 2]}}]\n")
    words = "validate --plan plan.yaml"
    refused(3, words, "plan.yaml:1:24: strategies.0.decoder: no decoder nam…")
    told = output(*words.split(), "--plugin", "more.py")
    assert told == "plan.yaml: a valid plan\n"


# The verb `data`.
CONTENT = b"First Citizen:\nBefore we proceed any further, hear me speak.\n"


@pytest.fixture
def server(place, monkeypatch, serve):
    """A server on loopback from which the corpus comes, which is what input.txt has in it."""
    path = place.write("input.txt", CONTENT)
    monkeypatch.setenv("SEQGEN_CACHE", str(place.folder / "cache"))

    def answer(request):
        request.send_response(200)
        request.end_headers()
        request.wfile.write(path.read_bytes())

    url = f"{serve(answer)[1]}/input.txt"
    sha256 = hashlib.sha256(CONTENT).hexdigest()
    for name, value in {"url": url, "size": len(CONTENT), "sha256": sha256}.items():
        monkeypatch.setattr(TinyShakespeare, name, value)
    return url


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
    (place.folder / "input.txt").unlink()
    assert command("data", "get", "tiny_shakespeare").code == 0, "it is not fetched again"
    assert command("data", "get", "unicode_names") == (0, "unicode_names: ready\n", "")


def test_what_cannot_be_fetched(refused, server, place, monkeypatch):
    place.write("input.txt", CONTENT.replace(b"speak", b"sneak"))
    said = f"{server}: another file than expected (SHA-256 …"
    instead = "…; a local file can be given instead: data.path=FILE"
    refused(4, "data get tiny_shakespeare", f"{said}{instead}")
    monkeypatch.setattr(TinyShakespeare, "url", "http://127.0.0.1:9/input.txt")
    said = "…cannot be fetched: Connection refused…"
    refused(4, "data get tiny_shakespeare", said)


def test_a_corpus_of_a_plugin_is_listed_and_can_be_got(output, place):
    place.write("corpus.py", PLUGIN)
    found = json.loads(output("data", "--plugin", "corpus.py", "--json"))
    assert {"name": "mine", "ready": False, "summary": "What I wrote myself."} in found
    for words in ("get mine --plugin corpus.py", "--plugin corpus.py get mine"):
        assert output("data", *words.split()) == "mine: ready\n"
        assert (place.folder / "mine.txt").read_text() == "mine"
        (place.folder / "mine.txt").unlink()
