"""Confusion: counts and scores of labels."""

from hypothesis import given
from hypothesis import strategies as st

from seqgen.metrics.confusion import Confusion, Scores

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
