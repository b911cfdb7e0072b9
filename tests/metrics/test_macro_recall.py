"""The metric `macro_recall`."""

import pytest

from seqgen.metrics import MacroRecall


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


def test_each_class_of_a_source_can_be_a_row(answers):
    rows = answers(("English", "English", "Scottish"), ("English", "English"))
    assert MacroRecall().measure(rows).value == 1.0
    assert MacroRecall(each_reference=True).measure(rows).value == 0.5
