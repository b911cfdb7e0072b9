"""Ways to split a text into words."""

import json
import re
import ssl
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqgen.options import OptionError
from seqgen.testing import check_tokenizer
from seqgen.tokenizers import BOS, EOS, SPECIALS, UNK, WholeTokenizer, WordTokenizer, tokenizers
from seqgen.tokenizers.word import (
    most_frequent,
    read_pieces,
    split_by_name,
    split_by_pattern,
    write_pieces,
)

TEXT = "  I can't;  say\n\n\tthis (yet)!"


def test_whitespace():
    assert split_by_name("whitespace")(TEXT) == ["I", "can't;", "say", "this", "(yet)!"]


def test_basic_english_is_torchtexts():
    before = ssl._create_default_https_context
    words = ["i", "can", "'", "t", "say", "this", "(", "yet", ")", "!"]
    assert split_by_name("basic_english")(TEXT) == words
    assert ssl._create_default_https_context is before  # torchtext's vectors would change it


def test_exact_keeps_one_space_before_a_word():
    words = [" ", " I", " can", "'", "t", ";", " ", " say", "\n\n", "\t", "this", " (", "yet", ")!"]
    assert split_by_name("exact")(TEXT) == words


@given(st.text(max_size=40) | st.text(" \t\na.é\u2003", max_size=40))
def test_exact_words_are_the_text(text):
    words = split_by_name("exact")(text)
    assert "".join(words) == text
    assert all(words)


@pytest.mark.parametrize(
    ("name", "package"),
    [
        ("spacy", "spacy"),
        ("moses", "sacremoses"),
        ("toktok", "nltk"),
        ("revtok", "revtok"),
        ("subword", "revtok"),
    ],
)
def test_a_missing_package_is_named(name, package, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ValueError, match=f"`split: {name}` needs the package {package}, which"):
        split_by_name(name)


def test_a_package_that_is_there_does_the_work(tmp_path, monkeypatch):
    (tmp_path / "revtok.py").write_text("def tokenize(text, decap=False): return [text, decap]")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "revtok", raising=False)
    assert split_by_name("subword")("ab") == ["ab", True]
    del sys.modules["revtok"]


@pytest.mark.parametrize(
    ("pattern", "words"),
    [(r"\w+", ["ab", "c", "d1"]), (r"(a)?[bc]", ["ab", "c"]), (r"\d*", ["1"]), ("x", [])],
)
def test_matches_of_a_pattern_are_the_words(pattern, words):
    assert split_by_pattern(pattern)("ab, c-d1") == words


@pytest.mark.parametrize("pattern", ["(", "*", "[z-a]", "(?P<a>b)(?P<a>c)", "a{99999999999999}"])
def test_what_is_no_pattern_is_refused(pattern):
    wanted = f"`pattern` must be a regular expression, but is {pattern!r}: "
    with pytest.raises(ValueError, match=re.escape(wanted)):
        split_by_pattern(pattern)


# Vocabularies by frequency: what is taken, and which files are none.


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


# The tokenizer `word`: which words are tokens, and what becomes of the others.


def fitted(*texts, **options):
    made = WordTokenizer(**options)
    made.fit(texts)
    return made


def words_of(made):
    return [made.shown(token) for token in range(4, len(made))]


def test_the_most_frequent_come_first_then_by_code_point():
    made = fitted("b é a", "c b a\nz a")
    assert words_of(made) == ["a", "b", "c", "z", "é"]
    assert made.encode("z  a\n?").tolist() == [7, 4, UNK]
    assert made.decode([7, 4, UNK]) == "z a \ufffd"
    assert not made.lossless


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"vocab_size": 6}, ["a", "b"]),
        ({"vocab_size": 1000}, ["a", "b", "c", "d"]),
        ({"min_count": 2}, ["a", "b"]),
        ({"min_count": 2, "vocab_size": 5}, ["a"]),
    ],
)
def test_rare_words_are_left_out(options, words):
    assert words_of(fitted("a b c d b a a", **options)) == words


def test_lower_case():
    made = fitted("The the THE", lower=True)
    assert words_of(made) == ["the"]
    assert made.decode(made.encode("tHe")) == "the"


def test_a_pattern_comes_before_the_split():
    made = fitted("a-b", pattern=r"\w", split="exact")
    assert words_of(made) == ["a", "b"]
    assert made.decode(made.encode("b-a")) == "b a"
    assert not made.lossless


@given(st.text(max_size=40))
def test_exact_loses_nothing(text):
    made = fitted(text, split="exact")
    assert made.lossless
    assert made.decode(made.encode(text)) == text


def test_exact_in_lower_case_loses_the_capitals():
    assert not WordTokenizer(split="exact", lower=True).lossless


def test_words_that_look_special_are_words():
    made = fitted("<pad> '<pad>' <unk>")
    assert made.encode("<pad>").tolist() == [5]
    assert made.decode([5]) == "<pad>"
    assert words_of(made) == ["''<pad>''", "'<pad>'", "'<unk>'"]
    assert [made.shown(token) for token in range(4)] == list(SPECIALS)


def test_unknown_words_can_be_refused():
    made = fitted("a b", unk="error")
    assert made.encode("b a").tolist() == [5, 4]
    with pytest.raises(ValueError, match="`text` must be of known words, but has 'ab'"):
        made.encode("a ab b")


@pytest.mark.parametrize(
    ("option", "value"),
    [("vocab_size", 4), ("min_count", 0), ("split", "english"), ("pattern", "("), ("unk", "skip")],
)
def test_wrong_options_are_refused(option, value):
    with pytest.raises(OptionError, match=option):
        tokenizers.build({"name": "word", option: value})


@pytest.mark.parametrize(
    "content",
    ["null", "5", '"ab"', '{"a": 1}', '["a", "a"]', '[""]', "[1]", '["\\ud800"]', '["a"', ""],
)
def test_a_damaged_vocabulary_is_refused(content):
    made = fitted("x y")
    with pytest.raises(ValueError, match=r"`words\.json` must be"):
        made.restore({"words.json": content.encode()})
    assert made.encode("x y").tolist() == [4, 5]


def test_the_file_is_the_words():
    assert json.loads(fitted("b é b").files()["words.json"]) == ["b", "é"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min_count": 3}, "`min_count` must be at most 2, as often as the most frequent is there"),
        ({"pattern": "[0-9]+"}, r"`pattern` '\[0-9\]\+' must find words in the training text, but"),
        ({"pattern": "[0-9]+", "line_ends": True}, "must find words in the training text"),
        ({"pattern": "x*?"}, "must find words in the training text"),
    ],
)
def test_a_vocabulary_of_no_words_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        WordTokenizer(**options).fit(["a b", "\n", "a"])


def test_of_nothing_it_learns_nothing():
    made = WordTokenizer(min_count=2)
    made.fit(["", " \n"])
    assert len(made) == 4


class TestLineEnds:
    @pytest.mark.parametrize("options", [{}, {"pattern": r"\S+"}, {"split": "exact"}])
    @given(st.lists(st.sampled_from(["a", "<eos>", "\n", " ", "\n\n", "b "]), max_size=12))
    def test_each_is_a_token_and_comes_back(self, options, pieces):
        text = "".join(pieces)
        made = WordTokenizer(line_ends=True, **options)
        made.fit(["a b\n", text])
        tokens = made.encode(text).tolist()
        assert [made.shown(token) for token in tokens].count("\n") == text.count("\n")
        shown = [made.shown(token).strip("'") for token in tokens]
        assert [text[start:end] for start, end in made.spans(text)] == shown
        back = made.decode(tokens)
        if made.lossless:
            assert back == text
        else:
            lines = [" ".join(line.split()) for line in text.split("\n")]
            assert back == "\n".join(lines)
        for cut in range(len(tokens) + 1):
            before, after = tokens[:cut], tokens[cut:]
            assert made.decode(before) + made.continuation(before, after) == back

    def test_unknown_words_and_specials_stand_on_their_lines(self):
        made = WordTokenizer(line_ends=True)
        made.fit(["a b\n"])
        assert made.decode([BOS, *made.encode("a x\n\nb"), EOS]) == "a \ufffd\n\nb"

    def test_without_them_they_are_lost(self):
        made = WordTokenizer()
        made.fit(["a b\n"])
        assert made.decode(made.encode("a\nb")) == "a b"


# The tokenizer `whole`: each text is one token, whatever is in it.


def fitted_whole(*texts, **options):
    made = WholeTokenizer(**options)
    made.fit(texts)
    return made


def texts_of(made):
    return [made.shown(token) for token in range(4, len(made))]


def test_the_most_frequent_come_first_then_by_code_point_whole():
    made = fitted_whole("NOUN", "é", "VERB", "New York", "ADJ", "NOUN")
    assert texts_of(made) == ["NOUN", "ADJ", "New York", "VERB", "é"]
    assert made.encode("New York").tolist() == [6]
    assert made.encode("New").tolist() == [UNK]


def test_tokens_are_read_with_a_space_between():
    made = fitted_whole("the", "New York")
    assert made.decode([5, 1, 4, 3, 2, 0]) == "the New York \ufffd"
    assert made.continuation([5], [4]) == " New York"


def test_the_empty_text_has_no_token():
    made = fitted_whole("", "a", "", "")
    assert texts_of(made) == ["a"]
    assert made.encode("").tolist() == []
    assert made.encode("").dtype == "int64"


@given(st.lists(st.text(max_size=6), max_size=12))
def test_a_text_that_was_learned_is_one_token_and_comes_back(texts):
    made = fitted_whole(*texts)
    assert len(made) == 4 + len(set(texts) - {""})
    for text in texts:
        assert len(made.encode(text)) == (1 if text else 0)
        assert made.decode(made.encode(text)) == text


@given(st.permutations(["b", "a", "b", "c", "é", "a b", "c", "b"]))
def test_the_order_of_the_texts_does_not_matter(texts):
    assert json.loads(fitted_whole(*texts).files()["texts.json"]) == ["b", "c", "a", "a b", "é"]


@pytest.mark.parametrize(
    ("options", "known"),
    [
        ({"min_count": 2}, ["b", "a"]),
        ({"vocab_size": 5}, ["b"]),
        ({"vocab_size": 9}, ["b", "a", "c"]),
    ],
)
def test_rare_texts_are_unknown(options, known):
    made = fitted_whole(*"abcbab", **options)
    assert texts_of(made) == known
    assert [made.encode(each)[0] == UNK for each in "abc"] == [each not in known for each in "abc"]


def test_lower_case_whole():
    made = fitted_whole("The", "the", "OF", lower=True)
    assert texts_of(made) == ["the", "of"]
    assert made.encode("THE").tolist() == [4]
    assert not made.lossless
    assert fitted_whole("The", "the").lossless


def test_texts_that_look_special_are_plain():
    made = fitted_whole("<pad>", "<unk>")
    assert made.encode("<unk>").tolist() == [5]
    assert made.decode([5]) == "<unk>"
    assert texts_of(made) == ["'<pad>'", "'<unk>'"]
    assert [made.shown(token) for token in range(4)] == list(SPECIALS)


@pytest.mark.parametrize(("option", "value"), [("vocab_size", 4), ("min_count", 0), ("lower", 3)])
def test_wrong_options_are_refused_whole(option, value):
    with pytest.raises(OptionError, match=option):
        tokenizers.build({"name": "whole", option: value})


def test_keeps_the_laws():
    check_tokenizer("whole").require()
    check_tokenizer("whole", lower=True, vocab_size=100).require()
