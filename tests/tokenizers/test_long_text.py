"""Long texts: parts as of a string, and the same ids and vocabularies however they are read."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqgen.testing.tokenizer import prose
from seqgen.tokenizers import LongText, long_text, tokenizers
from seqgen.tokenizers.sentencepiece import training_lines

texts = st.text(st.sampled_from("aab'.,Σσİé你😀 \n\n\t\r\x85\x1c\u2028▁"), max_size=60)
sizes = st.integers(1, 70)


def in_chunks(text, size):
    """A long text that is read `size` characters at a time."""

    def read(place):
        rest = text[place:]
        return (rest[start : start + size] for start in range(0, len(rest), size))

    return LongText(read, len(text))


@given(texts, texts, sizes, st.integers(-5, 70), st.integers(-5, 70))
def test_it_is_what_the_string_is(text, more, size, begin, end):
    long = in_chunks(text, size)
    assert (str(long), [*long], long.chars) == (text, [text], len(text))
    assert (long.bytes, long.sha256) == (len(text.encode()), LongText.of(text).sha256)
    assert long.blank == (not text.strip())
    assert str(long.part(begin, end)) == text[max(0, begin) : max(0, end)]
    part = long.part(begin, end).part(1, 9)
    assert str(part) == text[max(0, begin) : max(0, end)][1:9]
    both = LongText.joined([long, LongText.of(""), LongText.of(more)])
    assert str(both.part(begin, end)) == (text + more)[max(0, begin) : max(0, end)]


def test_large_is_a_matter_of_characters(monkeypatch):
    monkeypatch.setattr(long_text, "LARGE", 3)
    assert [LongText.of(text).large for text in ("ab", "你好吗")] == [False, True]


LINES = prose(1)
SPECS = (
    *("char", "byte", "whole", {"name": "sentencepiece", "vocab_size": 300}),
    {"name": "sentencepiece", "vocab_size": 300, "algorithm": "bpe", "byte_fallback": False},
    *(
        {"name": "word", "split": split, "line_ends": line_ends, "lower": lower}
        for split in ("whitespace", "exact", "basic_english")
        for line_ends in (False, True)
        for lower in (False, True)
    ),
    {"name": "word", "pattern": r"a\s+b|."},
    {"name": "word", "pattern": r"\w+|\W", "line_ends": True},
)


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_however_it_is_read_it_is_encoded_as_the_whole(spec):
    tokenizer = tokenizers.build(spec)
    tokenizer.fit([LINES])

    @given(texts, sizes)
    def same(text, size):
        pieces = [*in_chunks(text, size).pieces(tokenizer)]
        assert "".join(pieces) == text
        encoded = [*in_chunks(text, size).encoded(tokenizer), np.zeros(0, dtype=np.int64)]
        assert np.concatenate(encoded).tolist() == tokenizer.encode(text).tolist()

    same()


@pytest.mark.parametrize(
    "spec", [each for each in SPECS if "sentencepiece" not in str(each)], ids=str
)
@given(texts, sizes)
def test_however_it_is_read_the_same_is_learned(spec, text, size):
    whole, read = tokenizers.build(spec), tokenizers.build(spec)
    try:
        whole.fit([text])
    except ValueError as error:
        with pytest.raises(ValueError, match=re.escape(str(error))):
            read.fit(in_chunks(text, size).pieces(read))
        return
    read.fit(in_chunks(text, size).pieces(read))
    assert read.files() == whole.files()


@given(texts, sizes)
def test_sentencepiece_learns_from_the_same_lines(text, size):
    pieces = in_chunks(text, size).pieces(tokenizers.build("sentencepiece"))
    assert [*training_lines(pieces)] == [*training_lines([text])]


def test_only_what_knows_where_to_cut_is_read_in_parts():
    counts = {
        str(spec): len([*in_chunks(LINES, 100).pieces(tokenizers.build(spec))]) for spec in SPECS
    }
    assert {spec for spec, count in counts.items() if count == 1} == {str(SPECS[2]), str(SPECS[-2])}
    assert counts["char"] == counts["byte"] == -(-len(LINES) // 100)


def test_an_error_says_from_where_its_position_counts():
    tokenizer = tokenizers.build({"name": "char", "alphabet": "ab", "unk": "error"})
    wanted = r"has 'c' at 1 \(positions are from character 6 on\)"
    with pytest.raises(ValueError, match=wanted):
        list(in_chunks("ababab" + "bc", 3).encoded(tokenizer))
    with pytest.raises(ValueError, match=r"has 'c' at 1$"):
        list(LongText.of("bc").encoded(tokenizer))


@pytest.mark.parametrize("spec", ["char", "byte", "whole", "word"])
@given(st.lists(texts, max_size=5))
def test_many_texts_are_encoded_at_once_as_one_by_one(spec, some):
    tokenizer = tokenizers.build(spec)
    tokenizer.fit([LINES])
    ids, lengths = tokenizer.encode_all(some)
    assert (ids.dtype, lengths.dtype) == (np.int64, np.int64)
    rows = np.split(ids, np.cumsum(lengths))
    assert [row.tolist() for row in rows[:-1]] == [tokenizer.encode(text).tolist() for text in some]
    assert len(rows[-1]) == 0
