"""The tokenizer `word`: which words are tokens, and what becomes of the others."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqgen.options import OptionError
from seqgen.tokenizers import BOS, EOS, SPECIALS, UNK, WordTokenizer, tokenizers


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
