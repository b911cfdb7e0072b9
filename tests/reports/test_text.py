import html
import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqgen.reports.text import as_attribute, as_html, beginning, token_label, visible

# Any code point at all, lone surrogates too, and often those that do harm.
ANY_TEXT = st.text(
    st.characters(codec=None) | st.sampled_from("\x00\x1b\x7f\r\n\t\u202e\u2066\ud800<>&\"'[]/")
)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain [/x] text\n\tnext", "plain [/x] text\n\tnext"),
        ("\x1b[31mred\x00", "\\x1b[31mred\\x00"),
        ("a\r\nb\x7f\x85", "a\\x0d\nb\\x7f\\x85"),
        ("\u202eevil\u2069", "\\u202eevil\\u2069"),
        ("\ud800 \u2028 \ufeff \ufffe", "\\ud800 \\u2028 \\ufeff \\ufffe"),
        ("\U000e0041", "\\U000e0041"),
        ("שלום \U0001f468\u200d\U0001f469 e\u0301", "שלום \U0001f468\u200d\U0001f469 e\u0301"),
    ],
)
def test_what_would_act_or_not_show_becomes_a_code(text: str, shown: str) -> None:
    assert visible(text) == shown


@given(ANY_TEXT)
def test_html_says_the_same_as_visible_text(text: str) -> None:
    without_marks = re.sub(r'<span class="code">([^<]*)</span>', r"\1", as_html(text))
    assert "<" not in without_marks
    assert html.unescape(without_marks) == visible(text)
    assert html.unescape(as_attribute(text)) == visible(text)


@given(ANY_TEXT)
def test_nothing_dangerous_is_left(text: str) -> None:
    shown = visible(text)
    shown.encode("utf-8")
    assert {unicodedata.category(character) for character in shown} & {"Cs", "Zl", "Zp"} == set()
    controls = {c for c in shown if unicodedata.category(c) in {"Cc", "Cf"}}
    assert controls <= set("\n\t\u200c\u200d")
    assert not set(as_attribute(text)) & set("<>\"'")


@given(st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S"))))
def test_plain_text_stays_as_it_is(text: str) -> None:
    assert visible(text) == text


def test_a_token_shows_its_spaces() -> None:
    assert token_label(" a\n") == "\u2423a\u21b5"
    assert "empty" in token_label("")


def test_long_texts_say_how_much_follows() -> None:
    assert beginning("abc", most=3) == "abc"
    assert beginning("a<" * 2000, most=2) == 'a&lt; <span class="code">\u2026 3,998 more</span>'
    assert "empty" in beginning("")
