"""The verbs about recipes, plans and corpora: schema, validate, recipes, data."""

import hashlib
import json
import sys
from pathlib import Path

import pytest

from seqgen import yaml_io
from seqgen.cells import cells
from seqgen.comparison import plan_schema
from seqgen.config import ConfigFile, bundled_plans, bundled_recipes, find_file
from seqgen.data import corpora
from seqgen.data.corpora import TinyShakespeare
from seqgen.recipe import recipe_schema


@pytest.fixture(autouse=True)
def _own_registries(own_registries):
    pass


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
    assert {"data", "model", "train"} <= set(schema["anyOf"][0]["required"])
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


# The verb `recipes`.
def test_recipes_are_listed_and_copied(output, command, place):
    assert output("recipes") == output("list", "recipes")
    assert output("recipes", "copy", "char_lstm") == "char_lstm.yaml: seqgen run char_lstm.yaml\n"
    assert (place.folder / "char_lstm.yaml").read_bytes() == find_file("char_lstm").read_bytes()
    again = command("recipes", "copy", "char_lstm")
    assert (again.code, again.err) == (
        7,
        "char_lstm.yaml: already exists; choose another file with --out\n",
    )
    output("recipes", "copy", "lectures/names_rnn", "--out", "mine.yaml")
    assert ConfigFile.read(Path("mine.yaml")).data
    wrong = command("recipes", "copy", "char_lsmt")
    assert (wrong.code, wrong.err) == (
        2,
        "no recipe named 'char_lsmt'; did you mean 'char_lstm'? (seqgen recipes)\n",
    )


# The verb `validate`.
def test_it_shows_a_recipe_with_what_it_extends(output, place):
    place.write("own.yaml", "extends: tiny.yaml\nmodel: {cell: {hidden_size: 24}}\n")
    shown = yaml_io.load_document(output("validate", "own.yaml", "seed=7", "--show").encode(), "")
    expected = ConfigFile.read(Path("tiny.yaml"), ["seed=7", "model.cell.hidden_size=24"]).data
    assert shown.data == expected


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
