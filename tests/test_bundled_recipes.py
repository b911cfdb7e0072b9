"""The recipes and plans that come along, by name."""

from pathlib import Path

from seqgen.bundled_recipes import known_plans, known_recipes

FOLDER = Path(__file__).parent.parent / "recipes"


def test_every_file_has_its_name():
    recipes, plans = known_recipes(), known_plans()
    assert sorted([*recipes.values(), *plans.values()]) == sorted(FOLDER.rglob("*.yaml"))
    for name, path in recipes.items():
        assert FOLDER / f"{name}.yaml" == path
    for name, path in plans.items():
        assert FOLDER / "compare" / f"{name}.yaml" == path
    assert "lectures/char_lstm_cell" in recipes
    assert plans.keys() == {"language_model", "seq2seq"}


def test_no_recipe_ends_otherwise():
    files = [path for path in FOLDER.rglob("*") if path.is_file()]
    assert [path for path in files if path.suffix != ".yaml"] == []


def test_the_twins_of_the_lectures_differ_in_their_cell_alone():
    texts = [
        FOLDER.joinpath("lectures", name).read_text(encoding="utf-8").splitlines()
        for name in ("classify_lstm.yaml", "classify_lstm_cell.yaml")
    ]
    differing = [
        pair
        for pair in zip(*texts, strict=True)
        if pair[0] != pair[1] and not pair[0].startswith(("#", "description:"))
    ]
    assert [[each.strip() for each in pair] for pair in differing] == [
        [
            "cell: {name: lstm, hidden_size: 256}",
            "cell: {name: lstm_cell, hidden_size: 256}",
        ]
    ]
