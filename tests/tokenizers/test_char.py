"""The tokenizers `char` and `byte`: each character, or each byte of UTF-8, is a token."""

import json
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqgen.tokenizers import UNK, ByteTokenizer, CharTokenizer

BYTES = ByteTokenizer()


def fitted(*texts, **options):
    made = CharTokenizer(**options)
    made.fit(texts)
    return made


def chars_of(made):
    return [made.shown(token) for token in range(4, len(made))]


def test_ids_follow_the_code_points():
    made = fitted("banana", "😀 éa")
    assert chars_of(made) == [" ", "a", "b", "n", "é", "😀"]
    assert made.encode("ab😀").tolist() == [5, 6, 9]
    text = "".join(map(chr, [0, 0x7F, 0x80, 0xD7FF, 0xE000, 0xFFFF, 0x10000, 0x10FFFF]))
    made = fitted(text)
    assert made.encode(text).tolist() == list(range(4, 12))
    assert made.decode(range(4, 12)) == text
    assert len(fitted("<pad>").encode("<pad>")) == 5


@given(st.lists(st.text(max_size=20), max_size=4), st.text(max_size=20))
def test_the_vocabulary_is_the_set_of_characters_and_others_are_unknown(texts, other):
    made, chars = fitted(*texts), sorted(set("".join(texts)))
    assert chars_of(made) == json.loads(made.files()["chars.json"]) == chars
    tokens = made.encode(other)
    assert [token == UNK for token in tokens] == [char not in chars for char in other]
    assert made.decode(tokens) == "".join(char if char in chars else "\ufffd" for char in other)


@pytest.mark.parametrize(
    ("text", "char", "position"), [("xab", "x", 0), ("ab😀", "😀", 2), ("a\nb", "\n", 1)]
)
def test_unknown_characters_can_be_refused(text, char, position):
    made = fitted("ab", unk="error")
    assert made.encode("abba").tolist() == [4, 5, 5, 4]
    with pytest.raises(ValueError, match="of characters in the vocabulary") as caught:
        made.encode(text)
    assert str(caught.value).endswith(f"but has {char!r} at {position}")


@pytest.mark.parametrize(
    ("alphabet", "chars"),
    [("printable", sorted(string.printable)), ("cabac", ["a", "b", "c"]), ("", [])],
)
def test_an_alphabet_is_fixed(alphabet, chars):
    made = CharTokenizer(alphabet=alphabet)
    assert chars_of(made) == chars  # before a text is read
    made.fit(["éxyz"])
    assert chars_of(made) == chars
    assert made.encode("é").tolist() == [UNK]
    text = "".join(chars)
    assert made.decode(made.encode(text)) == text


def test_half_a_character_is_no_alphabet():
    with pytest.raises(ValueError, match="lone surrogate U\\+D83D at position 1"):
        CharTokenizer(alphabet="a\ud83d")


BROKEN = ["null", "5", '"ab"', '{"a": 1}', '["b", "a"]', '["a", "a"]', '["ab"]', '[""]', "[1, 2]"]
BROKEN += ['[1, "a"]', '[["a"]]', "[null]", '["\\ud800"]', '["a"', "", "\u00e9", "[" * 100_000]


@pytest.mark.parametrize("content", BROKEN, ids=lambda content: content[:8])
def test_a_damaged_vocabulary_is_refused(content):
    made = fitted("xy")
    with pytest.raises(ValueError, match=r"`chars\.json` must be a list of single characters in"):
        made.restore({"chars.json": content.encode()})
    assert made.encode("xy").tolist() == [4, 5]


def test_an_empty_vocabulary_is_one():
    made, other = fitted(), fitted("xy")
    other.restore(made.files())
    assert len(other) == len(made) == 4


def test_bytes_come_after_the_special_tokens():
    assert len(BYTES) == 260
    assert BYTES.encode("a\x00é").tolist() == [4 + 0x61, 4, 4 + 0xC3, 4 + 0xA9]
    assert (BYTES.shown(4 + 0x61), BYTES.shown(4 + 0xC3)) == ("a", "<0xC3>")
    assert BYTES.decode([4 + 0xE6, 4 + 0x61, UNK]) == "\ufffda\ufffd"
    assert BYTES.files() == {}


@given(st.text())
def test_every_text_is_known_to_bytes(text):
    assert BYTES.decode(BYTES.encode(text)) == text


def test_a_split_character_comes_when_it_is_whole():
    tokens = BYTES.encode("né日").tolist()
    pieces = [BYTES.continuation(tokens[:i], [token]) for i, token in enumerate(tokens)]
    assert pieces == ["n", "", "é", "", "", "日"]
