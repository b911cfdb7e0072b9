"""Several metrics at once."""

import pytest

from seqgen.metrics import Bleu, ExactMatch, by_name, measure, metrics
from seqgen.options import OptionError


def parts(*specs):
    return [metrics.check(spec, ("metrics", i)) for i, spec in enumerate(specs)]


def test_metrics_go_by_name_in_the_order_of_the_recipe():
    found = by_name(parts("exact_match", {"name": "bleu", "lowercase": True}, "chrf"))
    assert list(found) == ["exact_match", "bleu", "chrf"]
    assert isinstance(found["exact_match"], ExactMatch)
    assert isinstance(found["bleu"], Bleu)
    assert found["bleu"].lowercase


def test_a_name_comes_once_be_it_with_other_options():
    with pytest.raises(OptionError) as caught:
        by_name(parts("bleu", "chrf", {"name": "bleu", "lowercase": True}))
    wanted = "'bleu' is there already; results go by name, so each can come once"
    assert str(caught.value) == f"metrics.2: {wanted}"


def test_each_says_what_it_finds(answers):
    rows = answers(("a", "a"), ("b", "c"), ("d", "d"), ("e", "e"))
    found = measure(by_name(parts("word_error_rate", "exact_match")), rows)
    assert found == {
        "word_error_rate": (0.25, {"wrong": 1, "words": 4}),
        "exact_match": (0.75, {"correct": 3, "answers": 4}),
    }
    assert list(found) == ["word_error_rate", "exact_match"]


def test_without_metrics_nothing_is_measured(answers):
    assert measure(by_name([]), answers(("a", "a"))) == {}


def test_no_answers_are_a_value_error():
    with pytest.raises(ValueError, match="`answers` must have at least 1"):
        measure(by_name(parts("exact_match")), [])
