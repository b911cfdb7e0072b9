"""Rounding: what the order of a sum decides is gone."""

import math

from seqgen.comparison.rounding import rounded


def test_the_last_bits_are_gone():
    assert rounded({"a": [0.1 + 0.2, (1 / 3,)]}) == {"a": [0.3, [0.333333333]]}
    assert rounded(-12345678912.4) == -12345678900.0
    assert rounded(1e-20 / 3) == 3.33333333e-21


def test_what_is_no_fraction_stays():
    assert rounded({"n": 12345678901, "yes": True, "text": "0.1", "no": None}) == {
        "n": 12345678901,
        "yes": True,
        "text": "0.1",
        "no": None,
    }
    assert rounded(-math.inf) == -math.inf
    assert math.isnan(rounded(math.nan))
