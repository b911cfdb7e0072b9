"""Metrics of labels: classes and tags, their confusion, and what follows from it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqgen.metrics import Accuracy, ExactMatch, MacroRecall, TagAccuracy, TagScores
from seqgen.metrics.classification import MeanOverLabels, class_pairs, confusion, tag_pairs

PAIRS = [("c", "b"), ("a", "d"), ("b", "b"), ("a", "b"), ("b", "b"), ("a", "a")]
LABELS = st.sampled_from("abc")


def scores(details):
    return {label: tuple(each.values()) for label, each in details["classes"].items()}


def test_the_scores_and_counts_of_each_label_are_sorted():
    found = confusion(PAIRS)
    assert scores(found) == {
        "a": (1.0, 1 / 3, 1 / 2, 3),
        "b": (1 / 2, 1.0, 2 / 3, 2),
        "c": (0.0, 0.0, 0.0, 1),
        "d": (0.0, 0.0, 0.0, 0),
    }
    assert found["classes"]["a"] == {"precision": 1.0, "recall": 1 / 3, "f1": 0.5, "count": 3}
    assert found["confusion"] == {"a": {"a": 1, "b": 1, "d": 1}, "b": {"b": 2}, "c": {"b": 1}}
    assert list(found["classes"]) == ["a", "b", "c", "d"]
    assert list(found["confusion"]) == ["a", "b", "c"]
    assert list(found["confusion"]["a"]) == ["a", "b", "d"]


def test_a_missing_partner_is_no_label():
    pairs = [("a", "a"), ("a", ""), ("", "a"), ("", "b")]
    assert list(confusion(pairs)["classes"]) == ["", "a", "b"]
    found = scores(confusion(pairs, labels_only=True))
    assert list(found) == ["a", "b"]
    assert found["a"] == (1 / 2, 1 / 2, 1 / 2, 2)


@given(st.lists(st.tuples(LABELS, LABELS)))
def test_counts_add_up_and_f1_is_the_harmonic_mean(pairs):
    found = confusion(pairs)
    counts = {row: sum(columns.values()) for row, columns in found["confusion"].items()}
    assert sum(counts.values()) == len(pairs)
    assert counts == {row: each["count"] for row, each in found["classes"].items() if each["count"]}
    for precision, recall, f1, _ in scores(found).values():
        total = precision + recall
        assert abs(f1 - (2 * precision * recall / total if total else 0.0)) < 1e-12


@pytest.mark.parametrize(
    ("each_reference", "wanted"),
    [
        (False, {"a": {"a": 1, "c": 1}, "b": {"b": 1}}),
        (True, {"a": {"a": 1, "b": 1, "c": 1}, "b": {"b": 1, "c": 1}}),
    ],
)
def test_sources_with_several_classes(each_reference, wanted, answers):
    rows = answers(("a", "a"), ("b", "a", "b"), ("c", "a", "b"))
    pairs = [pair for answer in rows for pair in class_pairs(answer, each_reference)]
    assert confusion(pairs)["confusion"] == wanted
    for metric in (Accuracy(each_reference), MacroRecall(each_reference)):
        assert metric.measure(rows).details == confusion(pairs)


def test_accuracy_is_the_share_that_is_right(answers):
    rows = answers(("Greek", "Greek"), ("Greek", "Irish"), ("Irish", "Irish"), ("Czech", "Greek"))
    found = Accuracy().measure(rows)
    assert found.value == 0.5
    wanted = {"Greek": {"Czech": 1, "Greek": 1}, "Irish": {"Greek": 1, "Irish": 1}}
    assert found.details["confusion"] == wanted
    assert scores(found.details)["Greek"] == (0.5, 0.5, 0.5, 2)
    found = Accuracy().measure(answers(("", "a"), ("a", "a")))  # an empty output is a class, too
    assert (found.value, found.details["confusion"]) == (0.5, {"a": {"": 1, "a": 1}})


def test_each_class_of_a_source_can_be_a_row(answers):
    rows = answers(("English", "English", "Scottish"), ("Greek", "Greek"), ("Irish", "Czech"))
    assert Accuracy().measure(rows).value == ExactMatch().measure(rows).value == 2 / 3
    assert Accuracy(each_reference=True).measure(rows).value == 2 / 4
    rows = answers(("English", "English", "Scottish"), ("English", "English"))
    assert MacroRecall().measure(rows).value == 1.0
    assert MacroRecall(each_reference=True).measure(rows).value == 0.5


def test_macro_recall_is_the_mean_over_classes(answers):
    """3 of 4, 0 of 1 and 1 of 2; what comes out only is no class to recall."""
    others = [("Dutch", "Greek"), ("Greek", "Irish"), ("Czech", "Czech"), ("Greek", "Czech")]
    found = MacroRecall().measure(answers(*[("Greek", "Greek")] * 3, *others))
    assert found.value == pytest.approx((3 / 4 + 0 / 1 + 1 / 2) / 3)
    recalls = {name: each["recall"] for name, each in found.details["classes"].items()}
    assert recalls == {"Czech": 0.5, "Dutch": 0.0, "Greek": 0.75, "Irish": 0.0}
    assert found.details["confusion"]["Irish"] == {"Greek": 1}


class Given(MeanOverLabels):
    """Its labels are those that the test gives as answers."""

    def judge(self, answer):
        return answer


def test_each_label_has_two_columns_and_the_mean_leaves_out_labels_that_there_are_none_of():
    rows = [[("b", True), ("a", False), ("b", False)], [], [("c", True)]]
    assert Given().statistics(rows).tolist() == [[0, 1, 0, 1, 2, 0], [0] * 6, [0, 0, 1, 0, 0, 1]]
    # Two labels, in three sums: 1 of 2 and 3 of 3; 1 of 2 and none; none and none.
    totals = np.array([[1, 3, 2, 3], [1, 0, 2, 0], [0, 0, 0, 0]], dtype=float)
    assert Given().value(totals).tolist() == [0.75, 0.5, 1.0]
    for none in ([[]], [[], []]):
        found = Given().statistics(none)
        assert found.shape == (len(none), 0)
        assert Given().value(found).tolist() == [1.0] * len(none)


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
def test_tags_are_compared_token_by_token_with_the_nearest_reference(row, wanted, answers):
    [answer] = answers(row)
    assert confusion(tag_pairs(answer))["confusion"] == wanted


@pytest.mark.parametrize(
    ("rows", "value"),
    [
        ([("N V", "N V N V")], 2 / 4),  # another length counts as errors
        ([("N V N V", "N V")], 2 / 4),
        ([("V N", "N V N")], 0.0),
        ([("", ""), (" ", "")], 1.0),  # without tags nothing is wrong
    ],
)
def test_tag_accuracy_of_outputs_of_another_length(rows, value, answers):
    assert TagAccuracy().measure(answers(*rows)).value == value


def test_tag_accuracy_is_the_share_over_all_answers(answers):
    """Not the mean over sentences, which would be (2/4 + 1/1) / 2."""
    found = TagAccuracy().measure(answers(("DET NOUN NOUN X", "DET NOUN VERB ADV"), ("X", "X")))
    assert found == (3 / 5, {"correct": 3, "tags": 5})


def test_tag_scores_are_the_mean_f1(answers):
    """N came 3 times and was right twice, of 2; V came never, of 1; X came once for nothing."""
    found = TagScores().measure(answers(("N N", "N V"), ("X N", "D N"), ("D", "D")))
    wanted = {"N": (2 / 3, 1.0, 0.8, 2), "V": (0.0, 0.0, 0.0, 1), "X": (0.0, 0.0, 0.0, 0)}
    wanted["D"] = (1.0, 0.5, 2 / 3, 2)
    assert scores(found.details) == {name: pytest.approx(each) for name, each in wanted.items()}
    assert found.value == pytest.approx((0.8 + 0 + 0 + 2 / 3) / 4)
    assert found.details["confusion"]["D"] == {"D": 1, "X": 1}
    # N is missing once of twice, V came once of once, and once too often.
    found = TagScores().measure(answers(("N V", "N V N"), ("V V", "V")))
    assert found.value == pytest.approx((2 / 3 + 4 / 5) / 2)
    assert list(found.details["classes"]) == ["N", "V"]
    assert TagScores().measure(answers(("", ""))) == (1.0, {"classes": {}, "confusion": {}})
