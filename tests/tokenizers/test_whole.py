"""The tokenizer `whole`: each text is one token, whatever is in it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqgen.options import OptionError
from seqgen.testing import check_tokenizer
from seqgen.tokenizers import SPECIALS, UNK, WholeTokenizer, tokenizers


def fitted(*texts, **options):
    made = WholeTokenizer(**options)
    made.fit(texts)
    return made


def texts_of(made):
    return [made.shown(token) for token in range(4, len(made))]


def test_the_most_frequent_come_first_then_by_code_point():
    made = fitted("NOUN", "é", "VERB", "New York", "ADJ", "NOUN")
    assert texts_of(made) == ["NOUN", "ADJ", "New York", "VERB", "é"]
    assert made.encode("New York").tolist() == [6]
    assert made.encode("New").tolist() == [UNK]


def test_tokens_are_read_with_a_space_between():
    made = fitted("the", "New York")
    assert made.decode([5, 1, 4, 3, 2, 0]) == "the New York \ufffd"
    assert made.continuation([5], [4]) == " New York"


def test_the_empty_text_has_no_token():
    made = fitted("", "a", "", "")
    assert texts_of(made) == ["a"]
    assert made.encode("").tolist() == []
    assert made.encode("").dtype == "int64"


@given(st.lists(st.text(max_size=6), max_size=12))
def test_a_text_that_was_learned_is_one_token_and_comes_back(texts):
    made = fitted(*texts)
    assert len(made) == 4 + len(set(texts) - {""})
    for text in texts:
        assert len(made.encode(text)) == (1 if text else 0)
        assert made.decode(made.encode(text)) == text


@given(st.permutations(["b", "a", "b", "c", "é", "a b", "c", "b"]))
def test_the_order_of_the_texts_does_not_matter(texts):
    assert json.loads(fitted(*texts).files()["texts.json"]) == ["b", "c", "a", "a b", "é"]


@pytest.mark.parametrize(
    ("options", "known"),
    [
        ({"min_count": 2}, ["b", "a"]),
        ({"vocab_size": 5}, ["b"]),
        ({"vocab_size": 9}, ["b", "a", "c"]),
    ],
)
def test_rare_texts_are_unknown(options, known):
    made = fitted(*"abcbab", **options)
    assert texts_of(made) == known
    assert [made.encode(each)[0] == UNK for each in "abc"] == [each not in known for each in "abc"]


def test_lower_case():
    made = fitted("The", "the", "OF", lower=True)
    assert texts_of(made) == ["the", "of"]
    assert made.encode("THE").tolist() == [4]
    assert not made.lossless
    assert fitted("The", "the").lossless


def test_texts_that_look_special_are_plain():
    made = fitted("<pad>", "<unk>")
    assert made.encode("<unk>").tolist() == [5]
    assert made.decode([5]) == "<unk>"
    assert texts_of(made) == ["'<pad>'", "'<unk>'"]
    assert [made.shown(token) for token in range(4)] == list(SPECIALS)


@pytest.mark.parametrize(("option", "value"), [("vocab_size", 4), ("min_count", 0), ("lower", 3)])
def test_wrong_options_are_refused(option, value):
    with pytest.raises(OptionError, match=option):
        tokenizers.build({"name": "whole", option: value})


def test_keeps_the_laws():
    check_tokenizer("whole").require()
    check_tokenizer("whole", lower=True, vocab_size=100).require()
