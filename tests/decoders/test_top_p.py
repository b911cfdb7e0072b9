"""The decoder `top_p`."""

import pytest
import torch

from seqgen.decoders import TopP, decoders
from seqgen.options import OptionError


@pytest.mark.parametrize(
    ("p", "wanted"), [(1e-9, [1]), (0.4, [1]), (0.5, [0, 1]), (0.7, [0, 1, 3]), (1.0, [0, 1, 2, 3])]
)
def test_keeps_the_fewest_that_have_the_mass_of_equals_the_lowest_ids(p, wanted):
    scores = torch.tensor([[0.25, 0.4375, 0.0625, 0.25, 0.0]]).double().log()
    assert TopP(p).truncate(scores)[0].isfinite().nonzero().flatten().tolist() == wanted


@pytest.mark.parametrize("p", [0.0, -0.1, 1.1, float("nan")])
def test_a_mass_that_is_none_is_refused(p):
    with pytest.raises(ValueError, match="`p` must be above 0 and at most 1, but is"):
        TopP(p)
    with pytest.raises(OptionError, match=r"^p: must be"):
        decoders.check({"name": "top_p", "p": p})
