import html
import math
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from seqgen.metrics import metrics
from seqgen.reports import format

# Any code point at all, lone surrogates too, and often those that do harm.
ANY_TEXT = st.text(
    st.characters(codec=None) | st.sampled_from("\x00\x1b\x7f\r\n\t\u202e\u2066\ud800<>&\"'[]/")
)


LARGE, NAN = 10.0**30, math.nan


@pytest.mark.parametrize(
    ("write", "values", "written"),
    [
        (format.figure, (1.49, 0.002, 12345.6, LARGE, 0.0), "1.490 0.002 12,346 1e+30 0"),
        (format.figure, (None, -math.inf), "\u2013 -infinite"),
        (format.duration, (0, 0.25, 9.99, 59.6), "0_s 0.2_s 10_s 1_min"),
        (format.duration, (312.8, 3599.7, 7500), "5_min_13_s 1_h 2_h_5_min"),
        (format.duration, (math.inf, None), "infinite \u2013"),
        (format.count, (4000, 923713, LARGE, NAN), "4,000 923,713 1e+30 not_a_number"),
        (format.brief_count, (4000, 923713, 1234567), "4,000 924_k 1.23_M"),
        (format.brief_count, (LARGE, NAN), "1e+30 not_a_number"),
        (format.percent, (1.0, 0.4123, 0.001, 0.0), "100.0_% 41.2_% 0.10_% 0.00_%"),
        (format.percent, (0.00001, NAN), "<0.01_% not_a_number"),
        (lambda value: str(format.tint(value)), (0.5, 0.49, 0.2, 0.04, 0.001), "0 1 1 3 4"),
    ],
)
def test_numbers(write, values, written):
    assert [write(value).replace(" ", "_") for value in values] == written.split()


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("exact_match", 0.99021, "exact match 99.02 %"),
        ("exact_match", 0.99999, "exact match >99.99 %"),
        ("exact_match", 1.0, "exact match 100.00 %"),
        ("phoneme_error_rate", 7.1713, "phoneme error rate 717.13 %"),
        ("word_error_rate", 1e-6, "word error rate <0.01 %"),
        ("tag_scores", 0.5, "macro F1 of tags 50.00 %"),
        ("bleu", 34.25, "BLEU 34.25"),
        ("my_own", 0.5, "my own 0.5000"),
        ("accuracy", math.nan, "accuracy not a number"),
        ("accuracy", None, "accuracy \u2013"),
    ],
)
def test_metrics_in_words(name, value, shown):
    assert f"{format.metric_label(name)} {format.metric_value(name, value)}" == shown


def test_all_built_in_metrics_but_two_scores_are_shares():
    """A new metric must say which it is: see `_SHARES`."""
    own = {name for name in metrics.names() if "seqgen/metrics/" in metrics.where(name)}
    assert {name for name in own if not format.is_share(name)} == {"bleu", "chrf"}


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
def test_what_would_act_or_not_show_becomes_a_code(text, shown):
    assert format.visible(text) == shown


@given(ANY_TEXT)
def test_content_says_the_same_as_visible_text(text):
    assert Markup(format.content(text)).striptags() == " ".join(format.visible(text).split())


@given(ANY_TEXT)
def test_nothing_dangerous_is_left(text):
    shown = format.visible(text)
    shown.encode("utf-8")
    assert {unicodedata.category(character) for character in shown} & {"Cs", "Zl", "Zp"} == set()
    controls = {each for each in shown if unicodedata.category(each) in {"Cc", "Cf"}}
    assert controls <= set("\n\t\u200c\u200d")


@given(st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S"))))
def test_plain_text_stays_as_it_is(text):
    assert format.visible(text) == text


@pytest.mark.parametrize(
    ("shown", "said"),
    [
        (format.token_label(" a\n\t"), "\u2423a\u21b5\u21e5"),
        (format.token_label("\u0303"), "\u25cc\u0303"),
        (format.token_label(""), "(empty)"),
        (format.beginning("abc", most=3), "abc"),
        (format.beginning("a<" * 2000, most=2), "a< \u2026 3,998 more"),
        (format.beginning(""), "(empty)"),
        (format.small_units("28 min 20 s"), "28 min 20 s"),
        (Markup(format.counted(1, "edit")), "1 edit"),
        (Markup(format.counted(1200, "edit")), "1,200 edits"),
        (Markup(format.counted(2, "x", "xen")), "2 xen"),
    ],
)
def test_labels_and_cuts(shown, said):
    assert shown.striptags() == said


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a|b\n*c* <i> [d](e) `f` \\g", "a\\|b \\*c\\* \\<i\\> \\[d\\](e) \\`f\\` \\\\g"),
        ("beam_size _x_ a_", "beam_size \\_x\\_ a\\_"),
        ("\x1b[0m\u202e", "\\\\x1b\\[0m\\\\u202e"),
    ],
)
def test_nothing_in_a_text_acts_in_markdown(text, shown):
    assert format.markdown(text) == shown


@pytest.mark.parametrize(
    ("text", "lines", "long"),
    [
        ("", 3, False),
        ("word " * 45, 3, False),
        ("word " * 60, 3, True),
        ("a\nb\nc", 3, False),
        ("a\nb\nc\nd", 3, True),
        ("a\nb\nc\nd", 4, False),
    ],
)
def test_a_text_of_more_lines_is_long(text, lines, long):
    assert format.is_long(text, lines) is long


@given(ANY_TEXT)
def test_a_page_escapes_all_that_it_shows(text):
    """The frame with nothing in it: a text stands in its title and in its heading."""
    page = format.render("base.html", kind=text, heading=text, sections=(), parts={}, footer=text)
    start, end = page.index("<title>") + 7, page.index("</title>")
    shown = format.visible(text)
    assert html.unescape(page[start:end]) == f"{shown} \u2013 {shown}"
    assert page.count("<script") == 0
