import html
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqgen.reports.answers import CHARACTERS, WORDS
from seqgen.reports.differences import in_step, marked


def said(text: str) -> str:
    """The text with [wrong], {missed} and | for a gap."""
    text = re.sub(r'<mark class="wrong gap"[^>]*></mark>', "|", text)
    text = re.sub(r'<mark class="wrong">(.*?)</mark>', r"[\1]", text, flags=re.DOTALL)
    text = re.sub(r'<mark class="missed">(.*?)</mark>', r"{\1}", text, flags=re.DOTALL)
    return html.unescape(re.sub(r"</?(span|b)[^>]*>", "", text))


@pytest.mark.parametrize(
    ("output", "reference", "ours", "theirs"),
    [
        ("1984-04-03", "1984-05-03", "1984-0[4]-03", "1984-0{5}-03"),
        ("catt", "cat", "cat[t]", "cat"),
        ("ct", "cat", "c|t", "c{a}t"),
        ("", "a", "|", "{a}"),
        ("a", "", "[a]", "(empty)"),
        ("a\u0303b", "ab", "[a\u0303]b", "{a}b"),
        ("<b>", "<i>", "<[b]>", "<{i}>"),
    ],
)
def test_characters(output: str, reference: str, ours: str, theirs: str) -> None:
    assert tuple(map(said, marked(output, reference, CHARACTERS))) == (ours, theirs)


@pytest.mark.parametrize(
    ("output", "reference", "ours", "theirs"),
    [
        ("i m sorry you .", "i m hit .", "i m [sorry you] .", "i m {hit} ."),
        ("he is person", "he is a kind person", "he is | person", "he is {a kind} person"),
    ],
)
def test_words(output: str, reference: str, ours: str, theirs: str) -> None:
    assert tuple(map(said, marked(output, reference, WORDS))) == (ours, theirs)


def test_long_texts_are_cut() -> None:
    ours, theirs = marked("a" * 5000, "b" * 100, CHARACTERS)
    assert said(ours) == f"[{'a' * 800}] \u2026 4,200 more"
    assert said(theirs) == f"{{{'b' * 100}}}"


@given(st.text("ab<&\u202e\x00", max_size=12), st.text("ab<&\u202e\x00", max_size=12))
def test_nothing_in_a_text_acts(output: str, reference: str) -> None:
    for text in marked(output, reference, CHARACTERS):
        assert not set(text) & set("\u202e\x00")
        assert re.sub(r"</?(mark|span)[^<>]*>", "", text).count("<") == 0


def test_tags_stand_behind_the_words_that_have_wrong_ones() -> None:
    shown = in_step("we saw <it>", "PRON NOUN PRON", "PRON VERB PRON")
    assert shown is not None
    assert said(shown) == "we saw [NOUN] {VERB} <it>"
    assert in_step("we saw", "PRON", "PRON VERB") is None
    long = in_step("w " * 300, "A " * 300, "A " * 300)
    assert long is not None
    assert said(long).endswith("w w \u2026 100 more")
