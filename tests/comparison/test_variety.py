"""How diverse outputs are."""

import pytest

from seqgen.comparison.variety import MEASURES, split, training_text, variety
from seqgen.metrics import MORE_DIVERSE, diversity
from seqgen.tokenizers import tokenizers


@pytest.fixture
def letters():
    tokenizer = tokenizers.build("char")
    tokenizer.fit(["abcdefghijklmnop "])
    return tokenizer


def test_words_characters_and_tokens_without_the_end(output):
    found = output("ab ab  c")
    assert list(split(found, "words")) == ["ab", "ab", "c"]
    assert list(split(found, "characters")) == list("ab ab  c")
    assert list(split(found, "tokens")) == ["ab", "ab", "c"]


def test_all_outputs_of_a_seed_are_looked_at_together(output):
    found = variety([[output("a b"), output("a c")], [output("a b")]], "words")
    # Of 6 words 3 are different, of 3 pairs of words 2.
    assert found["distinct_1"] == 0.5
    assert found["distinct_2"] == pytest.approx(2 / 3)
    assert "copied" not in found


def test_copies_are_found_in_the_unit_of_the_outputs(output, letters):
    text = "a b c d e f g h i j"
    for unit, copied in [("words", 0.8), ("characters", 15 / 19)]:
        training = training_text(["a b c d e f g h"], unit, letters)
        found = variety([[output(text)]], unit, training)
        assert found["copied"] == pytest.approx(copied)
        assert found["longest_copy"] == (8 if unit == "words" else 15)


def test_training_text_in_tokens_reads_as_outputs_do(output, letters):
    training = training_text(["abcdefgh"], "tokens", letters)
    assert variety([[output("a b c d e f g h")]], "tokens", training)["copied"] == 1


def test_every_name_that_diversity_gives_is_described(letters):
    training = training_text(["a"], "words", letters)
    found = diversity([["a", "b", "c", "d"], ["a", "b", "c", "e"]], training)
    assert [each.id for each in MEASURES] == list(MORE_DIVERSE)
    assert set(found) <= {each.id for each in MEASURES}
    titles = {each.id: each.title for each in MEASURES}
    assert titles["distinct_2"] == "distinct-2"
    assert titles["entropy_3"] == "entropy of 3-grams"
    assert not any("{" in each.about for each in MEASURES)


def test_a_word_that_is_cut_off_does_not_hide_a_loop(output):
    circle = "round and round we go " * 4
    cut = [[output(f"{circle}rou", finished=False)], [output(f"{circle}rou")]]
    assert variety(cut, "words")["looping"] == 0.5
    assert variety(cut[:1], "tokens")["looping"] == 0
    assert variety([[output("rou", finished=False)]], "words")["looping"] == 0
