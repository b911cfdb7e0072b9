"""Data: what is too little, too long or made up to hurt."""

import pytest


@pytest.mark.parametrize("kind", ["text", "lines", "pairs", "labelled", "tagged"])
def test_an_empty_list_of_training_files_is_an_error_of_the_recipe(kind, place, refused):
    model = "{name: language_model, cell: gru}"
    train = "{max_steps: 1}"
    content = f"data: {{name: {kind}, train: []}}\nmodel: {model}\ntrain: {train}\n"
    place.write("none.yaml", content)
    line = refused(3, "`train` must be one file or several", "validate", "none.yaml")
    assert line.startswith("none.yaml:1:7: data: ")


def test_one_line_of_ten_megabytes_is_trained_on(place, make_trainer):
    place.write("text.txt", b"0123456789" * 1_000_000)
    fit = make_trainer("train.max_steps=2", "data.split=[1, 0, 0]")
    fit.run()
    assert fit.counters.step == 2


def test_a_prompt_of_a_hundred_thousand_tokens_is_read(finished_run, place, command):
    place.write("long.txt", "the cat " * 12_500 + "\n")
    ended = command(
        "generate", finished_run, "--input", "long.txt", "--max-length", 3, "--output", "out.txt"
    )
    assert ended.code == 0, ended.err
