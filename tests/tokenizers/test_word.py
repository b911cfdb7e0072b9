"""The tokenizers `word` and `whole`: how texts are split, what is a token, and what becomes of the
rest."""

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
from seqgen.tokenizers.word import make_splitter, most_frequent

EXACT = [" ", " I", " can", "'", "t", ";", " ", " say", "\n\n", "\t", "this", " (", "yet", ")!"]
TEXT = "  I can't;  say\n\n\tthis (yet)!"
KINDS = {"word": WordTokenizer, "whole": WholeTokenizer}


def split(text, name="whitespace", pattern=None):
    return make_splitter(name, pattern).words(text)


def fitted(*texts, kind="word", **options):
    made = KINDS[kind](**options)
    made.fit(texts)
    return made


def words_of(made):
    return [made.shown(token) for token in range(4, len(made))]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("whitespace", ["I", "can't;", "say", "this", "(yet)!"]),
        ("basic_english", ["i", "can", "'", "t", "say", "this", "(", "yet", ")", "!"]),
        # One space before a word is part of it.
        ("exact", EXACT),
    ],
)
def test_a_text_is_split_by_name(name, words):
    before = ssl._create_default_https_context
    assert split(TEXT, name) == words
    assert ssl._create_default_https_context is before  # torchtext's vectors would change it


@given(st.text(max_size=40) | st.text(" \t\na.é\u2003", max_size=40))
def test_exact_loses_nothing(text):
    words = split(text, "exact")
    assert "".join(words) == text
    assert all(words)
    made = fitted(text, split="exact")
    assert made.lossless
    assert made.decode(made.encode(text)) == text


PACKAGES = {"spacy": "spacy", "moses": "sacremoses", "toktok": "nltk", "revtok": "revtok"}
PACKAGES["subword"] = "revtok"


@pytest.mark.parametrize(("name", "package"), PACKAGES.items())
def test_a_missing_package_is_named(name, package, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ValueError, match=f"`split: {name}` needs the package {package}, which"):
        WordTokenizer(split=name)


def test_an_installed_package_does_the_work(tmp_path, monkeypatch):
    (tmp_path / "revtok.py").write_text("def tokenize(text, decap=False): return [text, decap]")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "revtok", raising=False)
    assert split("ab", "subword") == ["ab", True]
    assert make_splitter("subword", None).spans("ab") is None  # True does not stand there
    (tmp_path / "spacy.py").write_text("def load(name): raise OSError('no model')")
    with pytest.raises(ValueError, match="`split: spacy` cannot be loaded: no model"):
        split("ab", "spacy")
    del sys.modules["revtok"], sys.modules["spacy"]


@pytest.mark.parametrize(
    ("pattern", "words"),
    [(r"\w+", ["ab", "c", "d1"]), (r"(a)?[bc]", ["ab", "c"]), (r"\d*", ["1"]), ("x", [])],
)
def test_matches_of_a_pattern_are_the_words(pattern, words):
    assert split("ab, c-d1", pattern=pattern) == words


@pytest.mark.parametrize("pattern", ["(", "*", "[z-a]", "(?P<a>b)(?P<a>c)", "a{99999999999999}"])
def test_an_invalid_pattern_is_refused(pattern):
    wanted = f"`pattern` must be a regular expression, but is {pattern!r}: "
    with pytest.raises(ValueError, match=re.escape(wanted)):
        WordTokenizer(pattern=pattern)


def test_words_that_are_changed_have_places_only_if_they_are_found():
    splitter = make_splitter("basic_english", None)
    assert splitter.spans("a b.") == [(0, 1), (2, 3), (3, 4)]
    assert splitter.spans("A b.") is None
    assert make_splitter("basic_english", None, line_ends=True).spans("a\nB") is None


COUNTS = {"b": 2, "é": 1, "a": 2, "z": 3, "B": 2}


@pytest.mark.parametrize(
    ("min_count", "vocab_size", "wanted"),
    [
        (1, None, ["z", "B", "a", "b", "é"]),
        (1, 1000, ["z", "B", "a", "b", "é"]),
        (2, None, ["z", "B", "a", "b"]),
        (1, 6, ["z", "B"]),
        (3, 6, ["z"]),
    ],
)
def test_the_most_frequent_are_taken(min_count, vocab_size, wanted):
    assert most_frequent(COUNTS, min_count, vocab_size) == wanted
    texts = [word for word, count in COUNTS.items() for _ in range(count)]
    options = {"min_count": min_count, "vocab_size": vocab_size}
    for made in (fitted(" ".join(texts), **options), fitted(*texts, kind="whole", **options)):
        assert words_of(made) == wanted
        assert [made.encode(each)[0] != UNK for each in COUNTS] == [w in wanted for w in COUNTS]


def test_a_count_that_none_reaches_is_refused():
    with pytest.raises(ValueError, match="`min_count` must be at most 3, as often as the most"):
        most_frequent(COUNTS, 4, None)
    assert most_frequent({}, 4, None) == []


def test_words_are_read_with_a_space_between():
    made = fitted("b é a", "c b a\nz a")
    assert words_of(made) == ["a", "b", "c", "z", "é"]  # ties go by code point
    assert made.encode("z  a\n?").tolist() == [7, 4, UNK]
    assert made.decode([7, 4, UNK]) == "z a \ufffd"
    assert not made.lossless


@pytest.mark.parametrize("kind", KINDS)
def test_lower_case_loses_the_capitals(kind):
    made = fitted("The", "the", "OF", kind=kind, lower=True)
    assert words_of(made) == ["the", "of"]
    assert made.encode("tHe").tolist() == [4]
    assert not made.lossless
    assert WholeTokenizer().lossless
    assert not WordTokenizer(split="exact", lower=True).lossless


def test_a_pattern_takes_the_place_of_the_split():
    made = fitted("a-b", pattern=r"\w", split="exact")
    assert words_of(made) == ["a", "b"]
    assert made.decode(made.encode("b-a")) == "b a"
    assert not made.lossless
    made = fitted("a\nb", pattern=r"\n|\w")  # without `line_ends` it is a word as any other
    assert made.decode(made.encode("b\na")) == "b \n a"


@pytest.mark.parametrize("kind", KINDS)
def test_pieces_that_look_special_are_plain(kind):
    made = fitted("<pad>", "'<pad>'", "<unk>", kind=kind)
    assert made.encode("<pad>").tolist() == [5]
    assert made.decode([5]) == "<pad>"
    assert words_of(made) == ["''<pad>''", "'<pad>'", "'<unk>'"]
    assert [made.shown(token) for token in range(4)] == list(SPECIALS)


def test_unknown_words_can_be_refused():
    made = fitted("a b", unk="error")
    assert made.encode("b a").tolist() == [5, 4]
    with pytest.raises(ValueError, match="`text` must be of words in the vocabulary, but has 'ab'"):
        made.encode("a ab b")


@pytest.mark.parametrize(
    ("kind", "option", "value"),
    [
        *(("word", "vocab_size", 4), ("word", "min_count", 0), ("word", "split", "english")),
        *(("word", "pattern", "("), ("word", "unk", "skip"), ("whole", "vocab_size", 4)),
        *(("whole", "min_count", 0), ("whole", "lower", 3)),
    ],
)
def test_wrong_options_are_refused(kind, option, value):
    with pytest.raises(OptionError, match=option):
        tokenizers.build({"name": kind, option: value})


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "content",
    ["null", "5", '"ab"', '{"a": 1}', '["a", "a"]', '[""]', "[1]", '["\\ud800"]', '["a"', ""],
)
def test_a_damaged_vocabulary_is_refused(kind, content):
    made = fitted("x", "y", kind=kind)
    for files in ({made.file: content.encode()}, {"other.json": b"[]"}):
        with pytest.raises(ValueError, match=f"`{made.file}` must be a list of different texts"):
            made.restore(files)
    assert made.encode("y").tolist() == [5]


@pytest.mark.parametrize(("kind", "file"), [("word", "words.json"), ("whole", "texts.json")])
@given(st.permutations(["b", "a", "b", "c", "é", "c", "b"]))
def test_the_file_does_not_depend_on_the_order_of_texts(kind, file, texts):
    made, other = fitted(*texts, kind=kind), KINDS[kind]()
    assert made.files() == {file: b'[\n"b",\n"c",\n"a",\n"\\u00e9"\n]'}
    other.restore(made.files())
    assert words_of(other) == ["b", "c", "a", "é"]
    other.restore({file: json.dumps([]).encode()})
    assert len(other) == 4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"min_count": 3},
            "`min_count` must be at most 2, as often as the most frequent one occurs",
        ),
        ({"pattern": "[0-9]+"}, r"`pattern` '\[0-9\]\+' must find words in the training text, but"),
        ({"pattern": "[0-9]+", "line_ends": True}, "must find words in the training text"),
        ({"pattern": "x*?"}, "must find words in the training text"),
    ],
)
def test_a_vocabulary_of_no_words_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        WordTokenizer(**options).fit(["a b", "\n", "a"])
    assert len(fitted("", " \n", min_count=2)) == 4  # of nothing it learns nothing


@pytest.mark.parametrize("options", [{}, {"pattern": r"\S+"}, {"split": "exact"}])
@given(st.lists(st.sampled_from(["a", "<eos>", "\n", " ", "\n\n", "b "]), max_size=12))
def test_each_line_end_can_be_a_token_and_comes_back(options, pieces):
    text = "".join(pieces)
    made = fitted("a b\n", text, line_ends=True, **options)
    tokens = made.encode(text).tolist()
    assert [made.shown(token) for token in tokens].count("\n") == text.count("\n")
    shown = [made.shown(token).strip("'") for token in tokens]
    assert [text[start:end] for start, end in made.spans(text)] == shown
    back = made.decode(tokens)
    assert back == (
        text if made.lossless else "\n".join(" ".join(line.split()) for line in text.split("\n"))
    )
    for cut in range(len(tokens) + 1):
        before, after = tokens[:cut], tokens[cut:]
        assert made.decode(before) + made.continuation(before, after) == back


def test_unknown_words_and_specials_stand_on_their_lines():
    made = fitted("a b\n", line_ends=True)
    assert made.decode([BOS, *made.encode("a x\n\nb"), EOS]) == "a \ufffd\n\nb"
    made = fitted("a b\n")
    assert made.decode(made.encode("a\nb")) == "a b"  # without the option they are lost


@given(st.lists(st.text(max_size=6), max_size=12))
def test_a_whole_text_is_one_token_and_comes_back(texts):
    made = fitted(*texts, kind="whole")
    assert len(made) == 4 + len(set(texts) - {""})
    for text in texts:
        assert len(made.encode(text)) == (1 if text else 0)
        assert made.decode(made.encode(text)) == text


def test_whole_texts_are_read_with_a_space_between():
    made = fitted("the", "New York", "", "", kind="whole")
    assert words_of(made) == ["New York", "the"]
    assert made.encode("New").tolist() == [UNK]
    assert made.encode("").dtype == "int64"
    assert made.decode([5, 1, 4, 3, 2, 0]) == "the New York \ufffd"
    assert made.continuation([5], [4]) == " New York"
    check_tokenizer("whole", lower=True, vocab_size=100).require()
