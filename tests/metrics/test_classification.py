"""Confusion: counts and scores of labels."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqgen.metrics import Accuracy, ExactMatch, MacroRecall, TagAccuracy, TagScores
from seqgen.metrics.classification import Confusion, Scores, class_confusion, tag_confusion

PAIRS = [("c", "b"), ("a", "d"), ("b", "b"), ("a", "b"), ("b", "b"), ("a", "a")]


def test_the_scores_of_each_label():
    assert Confusion(PAIRS).scores == {
        "a": Scores(1.0, 1 / 3, 1 / 2, 3),
        "b": Scores(1 / 2, 1.0, 2 / 3, 2),
        "c": Scores(0.0, 0.0, 0.0, 1),
        "d": Scores(0.0, 0.0, 0.0, 0),
    }


def test_its_details_are_sorted_by_label():
    details = Confusion(PAIRS).details()
    assert details["confusion"] == {"a": {"a": 1, "b": 1, "d": 1}, "b": {"b": 2}, "c": {"b": 1}}
    assert list(details["confusion"]) == ["a", "b", "c"]
    assert list(details["confusion"]["a"]) == ["a", "b", "d"]
    assert list(details["classes"]) == ["a", "b", "c", "d"]
    assert details["classes"]["a"] == {"precision": 1.0, "recall": 1 / 3, "f1": 0.5, "count": 3}


def test_what_has_no_partner_is_no_label():
    pairs = [("a", "a"), ("a", ""), ("", "a"), ("", "b")]
    assert list(Confusion(pairs, paired=False).scores) == ["a", "b"]
    assert Confusion(pairs, paired=False).scores["a"] == Scores(1 / 2, 1 / 2, 1 / 2, 2)
    assert list(Confusion(pairs).scores) == ["", "a", "b"]


LABELS = st.sampled_from("abc")


@given(st.lists(st.tuples(LABELS, LABELS)))
def test_counts_add_up(pairs):
    confusion = Confusion(pairs)
    assert confusion.total == len(pairs) == sum(each.count for each in confusion.scores.values())
    assert confusion.correct == sum(one == other for one, other in pairs)
    rows = confusion.details()["confusion"]
    assert {row: sum(rows[row].values()) for row in rows} == {
        label: each.count for label, each in confusion.scores.items() if each.count
    }


@given(st.lists(st.tuples(LABELS, LABELS)))
def test_f1_is_the_harmonic_mean(pairs):
    for each in Confusion(pairs).scores.values():
        total = each.precision + each.recall
        wanted = 2 * each.precision * each.recall / total if total else 0.0
        assert abs(each.f1 - wanted) < 1e-12


# The metric `accuracy`.


def test_the_share_that_is_right(answers):
    rows = answers(("Greek", "Greek"), ("Greek", "Irish"), ("Irish", "Irish"), ("Czech", "Greek"))
    found = Accuracy().measure(rows)
    assert found.value == 0.5
    assert found.details["confusion"] == {
        "Greek": {"Czech": 1, "Greek": 1},
        "Irish": {"Greek": 1, "Irish": 1},
    }
    assert found.details["classes"]["Greek"] == {
        "precision": 0.5,
        "recall": 0.5,
        "f1": 0.5,
        "count": 2,
    }
    assert found.details["classes"]["Czech"]["count"] == 0


def test_each_class_of_a_source_can_be_a_row(answers):
    rows = answers(("English", "English", "Scottish"), ("Greek", "Greek"), ("Irish", "Czech"))
    assert Accuracy().measure(rows).value == ExactMatch().measure(rows).value == 2 / 3
    assert Accuracy(each_reference=True).measure(rows).value == 2 / 4


def test_an_empty_output_is_a_class_as_others_are(answers):
    found = Accuracy().measure(answers(("", "a"), ("a", "a")))
    assert found.value == 0.5
    assert found.details["confusion"] == {"a": {"": 1, "a": 1}}


# The metric `macro_recall`.


def test_the_mean_over_classes(answers):
    """3 of 4, 0 of 1 and 1 of 2; what comes out only is no class to recall."""
    rows = answers(
        *[("Greek", "Greek")] * 3,
        ("Dutch", "Greek"),
        ("Greek", "Irish"),
        ("Czech", "Czech"),
        ("Greek", "Czech"),
    )
    found = MacroRecall().measure(rows)
    assert found.value == pytest.approx((3 / 4 + 0 / 1 + 1 / 2) / 3)
    recalls = {name: each["recall"] for name, each in found.details["classes"].items()}
    assert recalls == {"Czech": 0.5, "Dutch": 0.0, "Greek": 0.75, "Irish": 0.0}
    assert found.details["confusion"]["Irish"] == {"Greek": 1}


def test_each_class_of_a_source_can_be_a_row_macro_recall(answers):
    rows = answers(("English", "English", "Scottish"), ("English", "English"))
    assert MacroRecall().measure(rows).value == 1.0
    assert MacroRecall(each_reference=True).measure(rows).value == 0.5


# Outputs that are classes.


@pytest.mark.parametrize(
    ("each_reference", "wanted"),
    [
        (False, {"a": {"a": 1, "c": 1}, "b": {"b": 1}}),
        (True, {"a": {"a": 1, "b": 1, "c": 1}, "b": {"b": 1, "c": 1}}),
    ],
)
def test_sources_with_several_classes(each_reference, wanted, answers):
    rows = answers(("a", "a"), ("b", "a", "b"), ("c", "a", "b"))
    assert class_confusion(rows, each_reference).details()["confusion"] == wanted


# Tags beside those that they should be.


@pytest.mark.parametrize(
    ("row", "wanted"),
    [
        (("N V", "N V"), {"N": {"N": 1}, "V": {"V": 1}}),
        (("N N", "N V"), {"N": {"N": 1}, "V": {"N": 1}}),
        (("N", "N V"), {"N": {"N": 1}, "V": {"": 1}}),
        (("N V N", "N V"), {"": {"N": 1}, "N": {"N": 1}, "V": {"V": 1}}),
        (("V N", "N V N"), {"N": {"": 1, "V": 1}, "V": {"N": 1}}),
        (("", "N"), {"N": {"": 1}}),
        (("", ""), {}),
        (("N V", "V V", "N V", "N N"), {"N": {"N": 1}, "V": {"V": 1}}),
        (("N", "V", "N V"), {"N": {"N": 1}, "V": {"": 1}}),
        (("N", "N V", "V"), {"N": {"N": 1}, "V": {"": 1}}),
    ],
)
def test_token_by_token_with_the_nearest_reference(row, wanted, answers):
    assert tag_confusion(answers(row)).details()["confusion"] == wanted


# The metric `tag_accuracy`.


def test_the_share_of_tags_over_all_answers(answers):
    """Not the mean over sentences, which would be (2/4 + 1/1) / 2."""
    found = TagAccuracy().measure(answers(("DET NOUN NOUN X", "DET NOUN VERB ADV"), ("X", "X")))
    assert found == (3 / 5, {"correct": 3, "tags": 5})


def test_another_length_counts_as_errors(answers):
    assert TagAccuracy().measure(answers(("N V", "N V N V"))).value == 2 / 4
    assert TagAccuracy().measure(answers(("N V N V", "N V"))).value == 2 / 4
    assert TagAccuracy().measure(answers(("V N", "N V N"))).value == 0.0


def test_without_tags_nothing_is_wrong(answers):
    assert TagAccuracy().measure(answers(("", ""), (" ", ""))).value == 1.0


# The metric `tag_scores`.


def test_the_mean_f1_of_tags(answers):
    """N came 3 times and was right twice, of 2; V came never, of 1; X came once for nothing."""
    found = TagScores().measure(answers(("N N", "N V"), ("X N", "D N"), ("D", "D")))
    wanted = {"N": (2 / 3, 1.0, 0.8, 2), "V": (0.0, 0.0, 0.0, 1), "X": (0.0, 0.0, 0.0, 0)}
    wanted["D"] = (1.0, 0.5, 2 / 3, 2)
    classes = {name: tuple(each.values()) for name, each in found.details["classes"].items()}
    assert classes == {name: pytest.approx(each) for name, each in wanted.items()}
    assert found.value == pytest.approx((0.8 + 0 + 0 + 2 / 3) / 4)
    assert found.details["confusion"]["D"] == {"D": 1, "X": 1}


def test_another_length_counts_as_errors_tag_scores(answers):
    """N is missing once of twice, V came once of once, and once too often."""
    found = TagScores().measure(answers(("N V", "N V N"), ("V V", "V")))
    assert found.value == pytest.approx((2 / 3 + 4 / 5) / 2)
    assert list(found.details["classes"]) == ["N", "V"]


def test_without_tags_nothing_is_wrong_tag_scores(answers):
    assert TagScores().measure(answers(("", ""))) == (1.0, {"classes": {}, "confusion": {}})
