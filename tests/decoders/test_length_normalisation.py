"""Length normalisation: its formulas, and what a path may still come to."""

import pytest
import torch

from seqgen.decoders.length_normalisation import LengthNormalisation

ALL = [
    LengthNormalisation(),
    *(LengthNormalisation("power", alpha) for alpha in (-1.0, 0.0, 0.5, 1.0, 3.0)),
    *(LengthNormalisation("gnmt", alpha) for alpha in (-0.6, 0.6, 1.0)),
]


@pytest.mark.parametrize(
    ("formula", "alpha", "length", "wanted"),
    [
        ("none", 1.0, 7, 1.0),
        ("power", 0.0, 7, 1.0),
        ("power", 1.0, 7, 7.0),
        ("power", 0.5, 4, 2.0),
        ("power", -1.0, 4, 0.25),
        ("power", 1.0, 0, 1.0),
        ("gnmt", 1.0, 1, 1.0),
        ("gnmt", 1.0, 7, 2.0),
        ("gnmt", 2.0, 7, 4.0),
        ("gnmt", -1.0, 7, 0.5),
    ],
)
def test_the_divisor(formula, alpha, length, wanted):
    assert LengthNormalisation(formula, alpha).divisor(length) == wanted


@pytest.mark.parametrize("normalisation", ALL, ids=repr)
def test_the_bound_is_the_best_of_all_lengths_that_are_left(normalisation):
    scores = torch.tensor([-3.0, -0.5, 0.0, float("-inf")], dtype=torch.float64)
    room = torch.tensor([9, 4, 6, 9])
    found = normalisation.bound(scores, 3, room)
    for score, last, bound in zip(scores.tolist(), room.tolist(), found.tolist(), strict=True):
        lengths = range(4, last + 1)
        assert bound == max(score / normalisation.divisor(length) for length in lengths)


@pytest.mark.parametrize("alpha", [-10.5, 11.0, float("nan"), float("inf")])
def test_an_alpha_out_of_range_is_refused(alpha):
    with pytest.raises(ValueError, match="`alpha` must be from -10 to 10, but is"):
        LengthNormalisation("power", alpha)


def test_another_formula_is_refused():
    message = "`length_normalisation` must be one of none, power, gnmt, but is 'mean'"
    with pytest.raises(ValueError, match=message):
        LengthNormalisation("mean")
