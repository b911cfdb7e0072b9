"""The metric `tag_scores`."""

import pytest

from seqgen.metrics import TagScores


def test_the_mean_f1_of_tags(answers):
    """N came 3 times and was right twice, of 2; V came never, of 1; X came once for nothing."""
    found = TagScores().measure(answers(("N N", "N V"), ("X N", "D N"), ("D", "D")))
    wanted = {"N": (2 / 3, 1.0, 0.8, 2), "V": (0.0, 0.0, 0.0, 1), "X": (0.0, 0.0, 0.0, 0)}
    wanted["D"] = (1.0, 0.5, 2 / 3, 2)
    classes = {name: tuple(each.values()) for name, each in found.details["classes"].items()}
    assert classes == {name: pytest.approx(each) for name, each in wanted.items()}
    assert found.value == pytest.approx((0.8 + 0 + 0 + 2 / 3) / 4)
    assert found.details["confusion"]["D"] == {"D": 1, "X": 1}


def test_another_length_counts_as_errors(answers):
    """N is missing once of twice, V came once of once, and once too often."""
    found = TagScores().measure(answers(("N V", "N V N"), ("V V", "V")))
    assert found.value == pytest.approx((2 / 3 + 4 / 5) / 2)
    assert list(found.details["classes"]) == ["N", "V"]


def test_without_tags_nothing_is_wrong(answers):
    assert TagScores().measure(answers(("", ""))) == (1.0, {"classes": {}, "confusion": {}})
