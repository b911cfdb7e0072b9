"""Text from bytes that come in pieces."""

from hypothesis import given
from hypothesis import strategies as st

from seqgen.tokenizers.utf8 import shown_byte, text_so_far


@given(st.text(max_size=20))
def test_whole_text_comes_back(text):
    assert text_so_far(text.encode()) == text


def test_a_character_comes_with_its_last_byte():
    content = "a😀".encode()
    assert [text_so_far(content[:end]) for end in range(6)] == ["", "a", "a", "a", "a", "a😀"]


@given(st.binary(max_size=20), st.binary(max_size=20))
def test_what_has_come_stays(first, more):
    assert text_so_far(first + more).startswith(text_so_far(first))


def test_faulty_bytes_are_replaced():
    assert text_so_far(b"a\xffb\xe2\x96c") == "a\ufffdb\ufffdc"


def test_a_byte_is_shown_in_hexadecimal():
    assert shown_byte(0xE2) == "<0xE2>"
    assert shown_byte(10) == "<0x0A>"
