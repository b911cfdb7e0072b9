"""The recipes that come along, by name."""

from pathlib import Path

from seqgen.bundled_recipes import known_recipes

FOLDER = Path(__file__).parent.parent / "recipes"


def test_every_file_has_its_name():
    found = known_recipes()
    assert found
    assert sorted(found.values()) == sorted(FOLDER.rglob("*.yaml"))
    for name, path in found.items():
        assert FOLDER / f"{name}.yaml" == path
    assert "lectures/char_lstm_cell" in found


def test_no_recipe_ends_otherwise():
    files = [path for path in FOLDER.rglob("*") if path.is_file()]
    assert [path for path in files if path.suffix != ".yaml"] == []
