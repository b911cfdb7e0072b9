"""The decoder `typical`."""

import pytest
import torch

from seqgen.decoders import Typical, decoders
from seqgen.options import OptionError


@pytest.mark.parametrize(
    ("p", "wanted"), [(1e-9, [1]), (0.2, [1]), (0.3, [1, 2]), (0.7, [0, 1, 2])]
)
def test_the_most_probable_token_need_not_be_among_the_typical(p, wanted):
    # The entropy is 1.45 nats; the surprises are 0.69, 1.61, 1.90 and 3.28 (four times).
    scores = torch.tensor([[0.5, 0.2, 0.15, 0.0375, 0.0375, 0.0375, 0.0375, 0.0]]).double().log()
    assert Typical(p).truncate(scores)[0].isfinite().nonzero().flatten().tolist() == wanted


def test_where_all_are_equal_the_lowest_ids_stay():
    even = torch.full((1, 8), 1 / 8).double().log()
    assert Typical(0.5).truncate(even)[0].isfinite().nonzero().flatten().tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("p", [0.0, -0.1, 1.1, float("nan")])
def test_a_mass_that_is_none_is_refused(p):
    with pytest.raises(ValueError, match="`p` must be above 0 and at most 1, but is"):
        Typical(p)
    with pytest.raises(OptionError, match=r"^p: must be"):
        decoders.check({"name": "typical", "p": p})
