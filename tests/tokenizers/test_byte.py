"""The tokenizer `byte`: each byte of the UTF-8 is a token."""

from hypothesis import given
from hypothesis import strategies as st

from seqgen.tokenizers import UNK, ByteTokenizer


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
