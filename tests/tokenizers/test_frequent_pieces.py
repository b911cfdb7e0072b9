"""Vocabularies by frequency: what is taken, and which files are none."""

import pytest

from seqgen.tokenizers.frequent_pieces import most_frequent, read_pieces, write_pieces

COUNTS = {"b": 2, "é": 1, "a": 2, "z": 3, "B": 2}


@pytest.mark.parametrize(
    ("min_count", "vocab_size", "wanted"),
    [
        (1, None, ["z", "B", "a", "b", "é"]),
        (2, None, ["z", "B", "a", "b"]),
        (1, 6, ["z", "B"]),
        (3, 6, ["z"]),
    ],
)
def test_the_most_frequent_are_taken(min_count, vocab_size, wanted):
    assert most_frequent(COUNTS, min_count, vocab_size) == wanted


def test_a_count_that_none_reaches_is_refused():
    with pytest.raises(ValueError, match="`min_count` must be at most 3, as often as the most"):
        most_frequent(COUNTS, 4, None)
    assert most_frequent({}, 4, None) == []


def test_a_file_keeps_the_order():
    content = write_pieces(["b", "é", "a\n"])
    assert content == b'[\n"b",\n"\\u00e9",\n"a\\n"\n]'
    assert read_pieces({"x.json": content}, "x.json") == ["b", "é", "a\n"]
    assert read_pieces({"x.json": write_pieces([])}, "x.json") == []


@pytest.mark.parametrize(
    "content",
    ["null", "5", '"ab"', '{"a": 1}', '["a", "a"]', '[""]', "[1]", '["\\ud800"]', '["a"', ""],
)
def test_what_is_no_vocabulary_is_refused(content):
    with pytest.raises(ValueError, match=r"`x\.json` must be a list of different texts"):
        read_pieces({"x.json": content.encode()}, "x.json")
    with pytest.raises(ValueError, match=r"`y\.json` must be"):
        read_pieces({"x.json": b"[]"}, "y.json")
