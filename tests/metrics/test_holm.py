"""Holm's correction."""

import random

import pytest

from seqgen.metrics import holm


def test_an_example_by_hand():
    # 4 * 0.005 = 0.02, 3 * 0.01 = 0.03, 2 * 0.03 = 0.06, 1 * 0.04 is raised to what came before.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_it_is_capped_at_one():
    assert holm([0.4, 0.6, 0.9]) == [1.0, 1.0, 1.0]


def test_equal_ones_stay_equal():
    assert holm([0.02, 0.02]) == [0.04, 0.04]


def test_one_test_stays_as_it_is_and_none_gives_none():
    assert holm([0.03]) == [0.03]
    assert holm([]) == []


def test_it_keeps_the_order_and_lies_between_the_p_values_and_bonferroni():
    generator = random.Random(1)
    p_values = [generator.random() ** 3 for _ in range(50)]
    adjusted = holm(p_values)
    pairs = sorted(zip(p_values, adjusted, strict=True))
    assert [after for _, after in pairs] == sorted(adjusted)
    assert all(p <= after <= min(50 * p, 1.0) for p, after in pairs)


@pytest.mark.parametrize("wrong", [-0.1, 1.1, float("nan")])
def test_what_is_no_p_value_is_refused(wrong):
    with pytest.raises(ValueError, match="`p_values` must be between 0 and 1, but one is"):
        holm([0.5, wrong])
