"""Finding and reading recipe files."""

from pathlib import Path

import pytest

from seqgen.errors import RecipeError
from seqgen.recipe_source import RecipeSource, find_recipe, known_recipes


class TestFinding:
    def test_a_path(self, place):
        assert find_recipe("tiny.yaml") == Path("tiny.yaml")
        assert find_recipe(str(place.folder / "tiny.yaml")) == place.folder / "tiny.yaml"

    def test_a_bare_name_of_one_that_comes_along(self, place):
        for name, path in known_recipes().items():
            assert find_recipe(name) == path
            assert path.is_file()

    def test_a_file_of_that_name_comes_first(self, place):
        place.write("char_lstm", "{}")
        assert find_recipe("char_lstm") == Path("char_lstm")

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
        with pytest.raises(RecipeError) as caught:
            find_recipe(wanted)
        assert f"{wanted}: no such recipe; did you mean '{near}'?" in str(caught.value)

    def test_the_known_ones_are_the_files_of_the_folder(self):
        folder = Path(__file__).parent.parent / "recipes"
        found = {path.relative_to(folder).with_suffix("") for path in folder.rglob("*.yaml")}
        recipes = {path for path in found if path.parts[0] != "compare"}
        assert {Path(name) for name in known_recipes()} == recipes
        assert "char_lstm" in known_recipes()


class TestReading:
    def test_name_folder_and_places(self, place):
        source = RecipeSource.read(Path("tiny.yaml"))
        assert source.name == "tiny.yaml"
        assert source.folder == Path()
        assert source.document.data["threads"] == 1
        assert source.document.values["model", "cell", "name"].line == 6

    def test_a_fault_names_the_file(self, place):
        place.write("sub/bad.yaml", "a: [")
        with pytest.raises(RecipeError) as caught:
            RecipeSource.read(Path("sub/bad.yaml"))
        assert str(caught.value).startswith("sub/bad.yaml:1:")
