"""The decoder `min_p`."""

import pytest
import torch

from seqgen.decoders import MinP, decoders
from seqgen.options import OptionError


@pytest.mark.parametrize(
    ("p", "wanted"), [(0.0, [0, 1, 2, 3]), (0.1, [0, 1, 2]), (0.5, [0, 1]), (1.0, [0])]
)
def test_keeps_what_is_not_far_below_the_best(p, wanted):
    scores = torch.tensor([[0.5, 0.3, 0.18, 0.02, 0.0]]).double().log()
    assert MinP(p).truncate(scores)[0].isfinite().nonzero().flatten().tolist() == wanted


def test_keeps_all_equals_of_the_best():
    scores = torch.tensor([[0.4, 0.2, 0.4]]).double().log()
    assert MinP(1.0).truncate(scores)[0].isfinite().tolist() == [True, False, True]


@pytest.mark.parametrize("p", [-0.1, 1.1, float("nan")])
def test_a_share_that_is_none_is_refused(p):
    with pytest.raises(ValueError, match="`p` must be from 0 to 1, but is"):
        MinP(p)
    with pytest.raises(OptionError, match=r"^p: must be"):
        decoders.check({"name": "min_p", "p": p})
