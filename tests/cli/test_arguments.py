"""What the shell completes."""

import pytest

from seqgen.cli.arguments import plans, recipes, recipes_and_plans, rooms, runs


@pytest.fixture(autouse=True)
def _files(place):
    place.write("char/mine.yaml", "")
    place.write("char/notes.txt", "")
    place.write("char.yml", "")
    place.write("odd [1].yaml", "")
    place.write("runs/one/recipe.yaml", "")
    place.write("runs/two/recipe.yaml", "")
    place.write("runs/three/notes.txt", "")


CHAR_RECIPES = ["char_gru", "char_lstm", "char_min_gru", "char_rnn", "char_stacked_lstm"]


@pytest.mark.parametrize(
    ("incomplete", "found"),
    [
        ("char_", CHAR_RECIPES),
        ("char.", ["char.yml"]),
        ("char/", ["char/mine.yaml"]),
        ("char/m", ["char/mine.yaml"]),
        ("ti", ["tiny.yaml"]),
        ("./ti", ["./tiny.yaml"]),
        ("odd [", ["odd [1].yaml"]),
        ("**", []),
        ("nowhere/", []),
        ("tiny.yaml/", []),
        ("lectures/char_lstm_", ["lectures/char_lstm_cell"]),
    ],
)
def test_recipes(incomplete, found):
    assert recipes(incomplete) == found


def test_recipes_by_whole_paths(place):
    assert recipes(f"{place.folder}/ti") == [f"{place.folder}/tiny.yaml"]
    assert recipes(f"{place.folder}/char/../ti") == [f"{place.folder}/char/../tiny.yaml"]
    assert recipes("/")


def test_plans():
    assert plans("lang") == ["language_model"]
    assert plans("ti") == ["tiny.yaml"]
    assert plans("char_") == []
    assert recipes("lang") == []
    assert recipes_and_plans("s") == [
        "sentencepiece_gru", "shakespeare_char_lstm", "shakespeare_char_lstm_10min", "seq2seq"
    ]  # fmt: skip


def test_runs():
    assert runs("") == ["runs/one", "runs/two"]
    assert runs("runs/t") == ["runs/two"]


def test_rooms():
    assert rooms("c") == ["cells", "constraints", "corpora"]
    assert "optimizers" in rooms("")
