"""The verbs that exchange tokenizers with other programs."""

import json

import pytest


def test_the_tokenizer_of_a_run_is_written(output, place):
    pytest.importorskip("tokenizers", reason="the extra hf is not installed")
    assert output("tokenizer", "@lm", "--out", "a.json") == "tokenizer: a.json\n"
    assert "é" in json.loads((place.folder / "a.json").read_text())["model"]["vocab"]
    assert json.loads(output("tokenizer", "@pairs", "--field", "source", "--out", "-"))


@pytest.mark.parametrize(
    ("code", "words", "said"),
    [
        (5, "tokenizer nowhere", "nowhere: …"),
        (2, "tokenizer @lm --field source", "--field must be one of the run's texts (text), but…"),
        (7, "tokenizer @lm --out no/a.json", "no/a.json: cannot be written: …"),
    ],
)
def test_it_refuses(code, words, said, refused):
    pytest.importorskip("tokenizers", reason="the extra hf is not installed")
    refused(code, words, said)
