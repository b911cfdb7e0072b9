"""Outputs that are classes."""

import pytest

from seqgen.metrics.classes import class_confusion


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
