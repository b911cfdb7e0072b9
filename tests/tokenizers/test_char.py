"""The tokenizer `char`: each character is a token."""

import json
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqgen.tokenizers import UNK, ByteTokenizer, CharTokenizer


def fitted(*texts, **options):
    made = CharTokenizer(**options)
    made.fit(texts)
    return made


def test_ids_follow_the_code_points():
    made = fitted("banana", "😀 éa")
    assert len(made) == 4 + 6
    assert [made.shown(token) for token in range(4, 10)] == [" ", "a", "b", "n", "é", "😀"]
    assert made.encode("ab😀").tolist() == [5, 6, 9]


@given(st.lists(st.text(max_size=20), max_size=4))
def test_the_vocabulary_is_the_set_of_characters(texts):
    made = fitted(*texts)
    chars = sorted(set("".join(texts)))
    assert [made.shown(token) for token in range(4, len(made))] == chars
    assert json.loads(made.files()["chars.json"]) == chars


@given(st.text(max_size=20), st.text(max_size=20))
def test_what_was_not_read_is_unknown(known, text):
    made = fitted(known)
    assert [token == UNK for token in made.encode(text)] == [char not in known for char in text]
    wanted = "".join(char if char in known else "\ufffd" for char in text)
    assert made.decode(made.encode(text)) == wanted


def test_every_text_is_read_in_one_token_a_character():
    text = "".join(map(chr, [0, 0x7F, 0x80, 0xD7FF, 0xE000, 0xFFFF, 0x10000, 0x10FFFF]))
    made = fitted(text)
    assert made.encode(text).tolist() == list(range(4, 12))
    assert made.decode(range(4, 12)) == text


def test_special_tokens_in_the_text_are_their_characters():
    made = fitted("<pad> and <unk>")
    assert made.decode(made.encode("<pad>")) == "<pad>"
    assert len(made.encode("<pad>")) == 5


@pytest.mark.parametrize(
    ("text", "char", "position"), [("xab", "x", 0), ("ab😀", "😀", 2), ("a\nb", "\n", 1)]
)
def test_unknown_characters_can_be_refused(text, char, position):
    made = fitted("ab", unk="error")
    assert made.encode("abba").tolist() == [4, 5, 5, 4]
    with pytest.raises(ValueError, match="of known characters") as caught:
        made.encode(text)
    assert str(caught.value).endswith(f"but has {char!r} at {position}")


class TestAlphabets:
    def test_printable_is_pythons(self):
        made = fitted("é", alphabet="printable")
        assert len(made) == 4 + 100
        assert made.decode(made.encode(string.printable)) == string.printable
        assert made.encode("é").tolist() == [UNK]

    def test_characters_are_taken_once_and_in_order(self):
        made = fitted("xyz", alphabet="cabac")
        assert [made.shown(token) for token in range(4, len(made))] == ["a", "b", "c"]

    def test_is_there_before_a_text_is_read(self):
        assert CharTokenizer(alphabet="ab").encode("ba").tolist() == [5, 4]

    def test_an_empty_one_knows_nothing(self):
        made = fitted("ab", alphabet="")
        assert len(made) == 4
        assert made.encode("ab").tolist() == [UNK, UNK]

    def test_half_a_character_is_refused(self):
        with pytest.raises(ValueError, match="lone surrogate U\\+D83D at position 1"):
            CharTokenizer(alphabet="a\ud83d")


@pytest.mark.parametrize(
    "content",
    [
        "null",
        "5",
        '"ab"',
        '{"a": 1}',
        '["b", "a"]',
        '["a", "a"]',
        '["ab"]',
        '[""]',
        "[1, 2]",
        '[1, "a"]',
        '[["a"]]',
        "[null]",
        '["\\ud800"]',
        '["a"',
        "",
        "\u00e9",
        pytest.param("[" * 100_000, id="deep"),
    ],
)
def test_a_damaged_vocabulary_is_refused(content):
    made = fitted("xy")
    with pytest.raises(ValueError, match=r"`chars\.json` must be"):
        made.restore({"chars.json": content.encode()})
    assert made.encode("xy").tolist() == [4, 5]


def test_an_empty_vocabulary_is_one():
    made = CharTokenizer()
    made.fit([])
    other = fitted("xy")
    other.restore(made.files())
    assert len(other) == len(made) == 4


# The tokenizer `byte`: each byte of the UTF-8 is a token.


def test_ids_are_the_bytes_behind_the_special_tokens():
    made = ByteTokenizer()
    assert len(made) == 260
    assert made.encode("a\x00é").tolist() == [4 + 0x61, 4, 4 + 0xC3, 4 + 0xA9]
    assert made.shown(4 + 0x61) == "a"
    assert made.shown(4 + 0xC3) == "<0xC3>"


@given(st.text())
def test_every_text_comes_back_without_training(text):
    made = ByteTokenizer()
    assert made.decode(made.encode(text)) == text


def test_a_split_character_comes_when_it_is_whole():
    made = ByteTokenizer()
    tokens = made.encode("né日").tolist()
    pieces = [made.continuation(tokens[:i], [token]) for i, token in enumerate(tokens)]
    assert pieces == ["n", "", "é", "", "", "日"]


def test_what_is_no_character_is_replaced():
    made = ByteTokenizer()
    assert made.decode([4 + 0xE6, 4 + 0x61, UNK]) == "\ufffda\ufffd"


def test_there_is_nothing_to_save():
    assert ByteTokenizer().files() == {}
