"""The verb `new`: what it writes works, and nothing is overwritten."""

import importlib
import json
import re
import sys
from pathlib import Path

import pytest

from seqgen.cli.new import Kind, class_name, written
from seqgen.plugins import ROOMS, load_files
from seqgen.testing.child import CHECKS

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


def test_names_of_classes():
    assert [class_name(name) for name in ("my_cell", "a1_b", "MyCell")] == [
        "MyCell", "A1B", "MyCell",
    ]  # fmt: skip


class TestThePages:
    """docs/plugins walks through what `seqgen new` writes; so the pages, too, are tested."""

    FOLDER = Path(__file__).parents[2] / "docs" / "plugins"

    def blocks(self, kind, language):
        page = (self.FOLDER / f"{kind}.md").read_text(encoding="utf-8")
        return re.findall(rf"^```{language}\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)

    @pytest.mark.parametrize("kind", list(Kind))
    def test_they_show_what_is_written(self, kind):
        files = written(kind, f"my_{kind}")
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
