"""The metric `chrf`."""

import pytest
import sacrebleu

from seqgen.metrics import Chrf


def test_the_formula(answers):
    """Of `ab` all is in `abc`, which has 2 of 3 letters and 1 of 2 pairs in it; 3 are too long."""
    recall = (2 / 3 + 1 / 2) / 2
    found = Chrf().measure(answers(("ab", "abc")))
    assert found.value == pytest.approx(100 * 5 * recall / (4 + recall))
    assert found.details["name"] == "chrF2"


def test_spaces_do_not_count(answers):
    assert Chrf().measure(answers(("a bc d", "ab cd"))).value == 100.0
    assert Chrf(word_order=1).measure(answers(("a bc d", "ab cd"))).value < 100.0


@pytest.mark.parametrize("word_order", [0, 1, 2])
def test_it_is_what_sacrebleu_says(word_order, answers):
    rows = [
        ("The dog bit the man.", "The dog bit the man.", "The dog had bit the man."),
        ("It wasn't surprising.", "It was not unexpected.", "No one was surprised."),
        ("", "Nothing.", "Not a thing."),
    ]
    outputs, *references = (list(column) for column in zip(*rows, strict=True))
    wanted = sacrebleu.corpus_chrf(outputs, references, word_order=word_order)
    found = Chrf(word_order=word_order).measure(answers(*rows))
    assert found.value == wanted.score
    assert found.details["name"] == "chrF2" + "+" * word_order
    version = sacrebleu.__version__
    wanted = f"nrefs:2|case:mixed|eff:yes|nc:6|nw:{word_order}|space:no|version:{version}"
    assert found.details["signature"] == wanted


def test_the_best_reference_counts(answers):
    rows = answers(("abcd", "wxyz", "abcd"), ("efgh", "efgh"))
    found = Chrf().measure(rows)
    assert found.value == 100.0
    assert found.details["signature"].startswith("nrefs:var|")


def test_case_can_be_ignored(answers):
    assert Chrf().measure(answers(("ABC", "abc"))).value == 0.0
    assert Chrf(lowercase=True).measure(answers(("ABC", "abc"))).value == 100.0


@pytest.mark.parametrize("row", [("", ""), ("", "a"), ("a", ""), (" ", " ")])
def test_it_is_0_where_one_side_is_empty(row, answers):
    assert Chrf().measure(answers(row)).value == 0.0


def test_other_word_orders_are_a_value_error():
    with pytest.raises(ValueError, match="`word_order` must be 0, 1 or 2, but is 3"):
        Chrf(word_order=3)
