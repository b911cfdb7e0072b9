"""Ways to split a text into words."""

import re
import ssl
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqgen.tokenizers.word_splits import split_by_name, split_by_pattern

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
