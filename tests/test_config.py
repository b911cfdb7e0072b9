"""Recipe and plan files: the bundled ones, overrides, values from files, places of errors."""

import copy
import os
import re
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqgen.config import (
    ConfigFile,
    bundled_plans,
    bundled_recipes,
    find_file,
    lay_over,
    read_override,
)
from seqgen.errors import RecipeError
from seqgen.options import OptionError, Size

FOLDER = Path(__file__).parent.parent / "recipes"


def test_every_file_has_its_name():
    recipes, plans = bundled_recipes(), bundled_plans()
    files = [path for path in FOLDER.rglob("*") if path.is_file()]
    assert sorted([*recipes.values(), *plans.values()]) == sorted(files)
    for name, path in recipes.items():
        assert FOLDER / f"{name}.yaml" == path
    for name, path in plans.items():
        assert FOLDER / "compare" / f"{name}.yaml" == path
    assert {"char_lstm", "lectures/char_lstm_cell"} <= recipes.keys()
    assert plans.keys() == {"language_model", "seq2seq"}


def test_the_twins_of_the_lectures_differ_in_their_cell_alone():
    texts = [
        FOLDER.joinpath("lectures", name).read_text(encoding="utf-8").splitlines()
        for name in ("classify_lstm.yaml", "classify_lstm_cell.yaml")
    ]
    differing = [
        [each.strip() for each in pair]
        for pair in zip(*texts, strict=True)
        if pair[0] != pair[1] and not pair[0].startswith(("#", "description:"))
    ]
    cell = "cell: {name: %s, hidden_size: 256}"
    assert differing == [[cell % "lstm", cell % "lstm_cell"]]


# Overrides: how they are read, and what they change.
def laid(data, *texts):
    return lay_over(data, [read_override(text) for text in texts])


class TestReading:
    @pytest.mark.parametrize(
        ("text", "path", "value"),
        [
            ("train.lr=3e-3", ("train", "lr"), 0.003),
            ("a=b=c", ("a",), "b=c"),
            (" a.b = 1 ", ("a", "b"), 1),
            ("a=null", ("a",), None),
            ("a=''", ("a",), ""),
            ("a=[1, no]", ("a",), [1, "no"]),
            ("cells.0.name=lstm", ("cells", 0, "name"), "lstm"),
            ("a.٣=1", ("a", "٣"), 1),
            ("a.-1=1", ("a", "-1"), 1),
        ],
    )
    def test_path_and_value(self, text, path, value):
        found = read_override(text)
        assert (found.path, found.value) == (path, value)
        assert str(found) == f"override {text}"

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            ("train.lr", "must be of the form key=value"),
            ("", "must be of the form key=value"),
            ("=3", "no key; it must be of the form model.cell.layers=2"),
            (".=3", "no key"),
            ("a..b=3", "no key"),
            ("a=", "no value; null means none"),
            ("a= ", "no value; null means none"),
            ("a=[1", "malformed at character"),
            ("a=1 # one", "not one plain value"),
            ("a=b: c", "not one plain value"),
            ("a=1\nb", "the value must be on one line"),
            ("a=!!python/object/apply:os.getcwd []", "malformed at character 1"),
        ],
    )
    def test_refusals_name_the_override(self, text, reason):
        with pytest.raises(RecipeError, match=f"^{re.escape(f'--set {text}: ')}.*{reason}"):
            read_override(text, "--set")

    @given(st.text())
    def test_any_text_is_read_or_refused(self, text):
        try:
            found = read_override(text)
        except RecipeError as error:
            assert text in str(error)  # noqa: PT017
        else:
            assert text.split("=")[0].strip() == ".".join(str(step) for step in found.path)

    def test_an_endless_index_is_a_key_that_nothing_has(self):
        assert read_override("9" * 5000 + "=1").path == ("9" * 5000,)


class TestValuesFromFiles:
    @pytest.mark.parametrize(
        ("content", "value"),
        [
            ("name: lstm\nlayers: 2\n", {"name": "lstm", "layers": 2}),
            ("- a\n- [b]\n", ["a", ["b"]]),
            ("3e-3\n", 0.003),
        ],
    )
    def test_any_yaml_is_one(self, content, value, tmp_path):
        path = tmp_path / "a=b,c.yaml"
        path.write_text(content)
        found = read_override(f"a.b=@{path}")
        assert (found.path, found.value) == (("a", "b"), value)
        assert found.file == str(path)

    def test_a_string_that_begins_with_the_sign_is_quoted(self):
        assert read_override("a='@x'").value == "@x"

    @pytest.mark.parametrize("name", ["nowhere", ".", "", "/dev/zero", "pipe"])
    def test_what_is_no_file_is_refused_at_once(self, name, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        os.mkfifo("pipe")
        with pytest.raises(RecipeError) as caught:
            read_override(f"a=@{name}", "--set")
        assert str(caught.value).startswith(f"--set a=@{name}: {name or '.'}: ")
        assert str(caught.value).endswith(f"(@ names a file; quote a string: '\"@{name}\"')")

    def test_faults_have_their_place_in_the_file(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        Path("broken.yaml").write_text("a: 1\nb: [2\n")
        with pytest.raises(RecipeError, match=r"^broken\.yaml:3:1: "):
            read_override("a=@broken.yaml")
        Path("cell.yaml").write_text("name: lstm\ninit:\n  - 0\n")
        override = read_override("model.cell=@cell.yaml")
        assert override.place(("model", "cell", "init")) == "cell.yaml:3:3"
        assert override.place(("model", "cell", "init"), at_key=True) == "cell.yaml:2:1"
        assert override.place(("model", "cell")) == "cell.yaml:1:1"

    def test_later_overrides_leave_the_value_as_it_was_read(self, tmp_path):
        (tmp_path / "cell.yaml").write_text("name: lstm\n")
        first = read_override(f"cell=@{tmp_path / 'cell.yaml'}")
        assert lay_over({}, [first, read_override("cell.layers=2")])["cell"]["layers"] == 2
        assert first.value == {"name": "lstm"}


class TestLayingOver:
    @pytest.mark.parametrize(
        ("data", "texts", "wanted"),
        [
            ({"a": {"b": 1, "c": 5}}, ["a.b=2", "a.b=3"], {"a": {"b": 3, "c": 5}}),  # the last one
            ({}, ["model.cell.layers=2"], {"model": {"cell": {"layers": 2}}}),
            ({"model": None}, ["model.name=x"], {"model": {"name": "x"}}),
            ({"cell": "lstm"}, ["cell.layers=2"], {"cell": {"name": "lstm", "layers": 2}}),
            ({"cell": {"name": "lstm", "layers": 2}}, ["cell=gru"], {"cell": "gru"}),
            (
                {"cells": ["lstm", {"name": "lstm"}]},
                ["cells.0.layers=2", "cells.1=gru"],
                {"cells": [{"name": "lstm", "layers": 2}, "gru"]},
            ),
            ({"a": {"0": 1}}, ["a.0=2"], {"a": {"0": 2}}),  # a number is a key in a mapping
        ],
    )
    def test_gives_a_copy_with_the_overrides(self, data, texts, wanted):
        before = copy.deepcopy(data)
        assert laid(data, *texts) == wanted
        assert data == before

    @pytest.mark.parametrize(
        ("text", "step"),
        [("list.2=1", "2"), ("list.x=1", "x"), ("list.-1=1", "-1"), ("one.x=1", "x")],
    )
    def test_there_may_be_no_place(self, text, step):
        with pytest.raises(RecipeError, match=f"^override {text}: no such key '{step}'$"):
            laid({"list": [0, 1], "one": 1}, text)


# Finding and reading recipe files.
class TestFinding:
    def test_a_path(self, place):
        assert find_file("tiny.yaml") == Path("tiny.yaml")
        assert find_file(str(place.folder / "tiny.yaml")) == place.folder / "tiny.yaml"

    def test_the_name_of_a_bundled_one_unless_there_is_a_file_of_that_name(self, place):
        for name, path in bundled_recipes().items():
            assert find_file(name) == path
        place.write("char_lstm", "{}")
        assert find_file("char_lstm") == Path("char_lstm")

    @pytest.mark.parametrize(
        ("wanted", "near"),
        [
            ("char_lstn", "char_lstm"),
            ("recipes/char_lstn.yaml", "char_lstm"),
            ("lectures/char_lstm_cel", "lectures/char_lstm_cell"),
            ("somewhere/recipes/lectures/char_onehot_lstm.yaml", "lectures/char_onehot_lstm"),
        ],
    )
    def test_a_near_name_is_suggested(self, wanted, near, place):
        with pytest.raises(
            RecipeError, match=rf"{wanted}: no such recipe; did you mean '{near}'\?"
        ):
            find_file(wanted)


def test_a_file_has_a_name_a_folder_and_places(place):
    source = ConfigFile.read(Path("tiny.yaml"))
    assert (source.name, source.folder) == ("tiny.yaml", Path())
    assert source.document.data["threads"] == 1
    assert source.document.values["model", "cell", "name"].line == 6
    place.write("sub/bad.yaml", "a: [")
    with pytest.raises(RecipeError, match=r"^sub/bad\.yaml:1:"):
        ConfigFile.read(Path("sub/bad.yaml"))


# Option files: what an error says of something that may be there once and is there twice.
@dataclass(frozen=True)
class Bicycle:
    """What such a file becomes."""

    gears: tuple[Size, ...]
    colour: str = "red"


@pytest.fixture
def read(place):
    place.write("bicycle.yaml", "colour: blue\ngears:\n- 3\n- 7\n")
    return lambda *overrides: ConfigFile.read(Path("bicycle.yaml"), overrides)


def test_a_file_becomes_options(read):
    assert read().options(Bicycle, "a bicycle") == Bicycle((3, 7), "blue")
    assert read("gears=[1]").options(Bicycle, "a bicycle") == Bicycle((1,), "blue")
    with pytest.raises(RecipeError, match=r"^override bell=1: bell: not an option of a bicycle"):
        read("bell=1").options(Bicycle, "a bicycle")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("- 1\n-   0\n", "gears.yaml:1:1: gears: must be at least 1 and at most 1000000"),
        ("a: 1\n", "gears.yaml:1:1: gears: must be a list"),
        ("[1", "gears.yaml:1:3: "),
    ],
)
def test_a_value_from_a_file_has_its_faults_where_they_are(content, said, read, place):
    place.write("gears.yaml", "- 1\n- 2\n")
    assert read("gears=@gears.yaml").options(Bicycle, "a bicycle") == Bicycle((1, 2), "blue")
    place.write("gears.yaml", content)
    with pytest.raises(RecipeError) as caught:
        read("gears=@gears.yaml").options(Bicycle, "a bicycle")
    assert str(caught.value).startswith(said)


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("", "bicycle.yaml:4:3: gears.1: as many as gears.0; the first is at 3:3"),
        ("--set gears.0=7", "bicycle.yaml:4:3: gears.1: as many as gears.0; the first is that of "),
        ("--set gears=[7,7]", "--set gears=[7,7]: gears.1: as many as gears.0; the first is that"),
    ],
)
def test_both_places_are_named(override, said, read):
    error = OptionError(("gears", 1), "as many as gears.0", first=("gears", 0))
    overrides = [read_override(override.removeprefix("--set "), "--set")] if override else []
    found = str(read(*overrides).error(error))
    assert found.startswith(said)
    assert not override or found.partition("the first is that of ")[2] == override


# A file that extends another one.
BASE = """\
description: base
plugins: [part.py]
model:
  cell: {name: lstm, hidden_size: 16, layers: 2}
  head: linear
train:
  lr: 1
list: [1, 2]
"""


@pytest.fixture
def extending(place):
    """What a file in `sub` is that extends another one there."""
    place.write("sub/base.yaml", BASE)

    def extending(text, *overrides):
        place.write("sub/own.yaml", "extends: base.yaml\n" + text)
        return ConfigFile.read(Path("sub/own.yaml"), overrides)

    return extending


@pytest.mark.parametrize(
    ("text", "path", "wanted"),
    [
        ("", "model.cell.layers", 2),
        ("seed: 3", "seed", 3),
        ("train: {steps: 5}", "train", {"lr": 1, "steps": 5}),
        ("train: null", "train", None),
        ("list: [3]", "list", [3]),
        ("model: {cell: {layers: 3}}", "model.cell.hidden_size", 16),
        ("model: {cell: {name: lstm, layers: 3}}", "model.cell.hidden_size", 16),
        ("model: {cell: gru}", "model.cell", "gru"),
        ("model: {cell: {name: gru, layers: 3}}", "model.cell", {"name": "gru", "layers": 3}),
        ("model: {head: {bias: false}}", "model.head", {"name": "linear", "bias": False}),
    ],
)
def test_a_file_is_laid_over_the_one_that_it_extends(text, path, wanted, extending):
    found = extending(text).data
    assert "extends" not in found
    for key in path.split("."):
        found = found[key]
    assert found == wanted


def test_extending_goes_on_from_file_to_file_and_from_bundled_ones(extending, place):
    place.write("own.yaml", "extends: sub/own.yaml\nlist: []\n")
    extending("seed: 3")
    found = ConfigFile.read(Path("own.yaml"), ["seed=4"]).data
    assert (found["list"], found["seed"], found["description"]) == ([], 4, "base")
    place.write("own.yaml", "extends: char_lstm\nseed: 3\n")
    bundled = ConfigFile.read(find_file("char_lstm")).data
    assert ConfigFile.read(Path("own.yaml")).data == {**bundled, "seed": 3}


def test_plugins_are_relative_to_the_file_that_names_them(extending, place):
    place.write("own.yaml", "extends: sub/own.yaml\n")
    extending("seed: 3")
    file = ConfigFile.read(Path("own.yaml"))
    assert file.data["plugins"] == [str(place.folder / "sub" / "part.py")]


@pytest.mark.parametrize(
    ("text", "path", "at_key", "said"),
    [
        ("seed: 3", ("model", "cell"), False, "sub/base.yaml:4:9: model.cell: wrong"),
        ("seed: 3", ("train", "lr"), True, "sub/base.yaml:7:3: train.lr: wrong"),
        ("seed: 3", ("seed",), False, "sub/own.yaml:2:7: seed: wrong"),
        ("train: {lr: 2}", ("train", "lr"), False, "sub/own.yaml:2:13: train.lr: wrong"),
        ("train: {lr: 2}", ("model", "head"), False, "sub/base.yaml:5:9: model.head: wrong"),
        ("model: {cell: gru}", ("model", "cell", "layers"), False, "sub/own.yaml:2:15: model.cell"),
    ],
)
def test_an_error_names_the_file_that_it_is_in(text, path, at_key, said, extending):
    error = extending(text).error(OptionError(path, "wrong", at_key=at_key))
    assert str(error).startswith(said)


@pytest.mark.parametrize(
    ("base", "said"),
    [
        ("extends: own.yaml", "base.yaml:1:10: extends: sub/own.yaml: this file extends itself"),
        ("extends: 3", "base.yaml:1:10: extends: must be the path or name of a recipe, but is 3"),
        ("extends: char_lsmt", "no such recipe; did you mean 'char_lstm'?"),
        ("a: [", "sub/base.yaml:1:"),
    ],
)
def test_what_cannot_be_extended(base, said, extending, place):
    place.write("sub/base.yaml", base)
    place.write("sub/own.yaml", "extends: base.yaml\n")
    with pytest.raises(RecipeError, match=r"^sub/own\.yaml:1:10: extends: ") as caught:
        ConfigFile.read(Path("sub/own.yaml"))
    assert said in str(caught.value)


def test_what_a_program_wrote_may_extend_a_file(place):
    place.write("sub/base.yaml", BASE)
    data = {"extends": "sub/base.yaml", "model": {"cell": {"layers": 0}}, "seed": 3}
    file = ConfigFile.of(data, "recipe")
    assert file.data["model"]["cell"] == {"name": "lstm", "hidden_size": 16, "layers": 0}
    for path, said in [
        ("model.cell.layers", "recipe: model.cell.layers: wrong"),
        ("model.cell.hidden_size", "sub/base.yaml:4:35: model.cell.hidden_size: wrong"),
        ("seed", "recipe: seed: wrong"),
    ]:
        assert str(file.error(OptionError(tuple(path.split(".")), "wrong"))) == said
    with pytest.raises(RecipeError, match=r"^recipe: extends: none\.yaml: no such recipe"):
        ConfigFile.of({"extends": "none.yaml"}, "recipe")
