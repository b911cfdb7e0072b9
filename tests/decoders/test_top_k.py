"""The decoder `top_k`."""

import pytest
import torch

from seqgen.decoders import TopK, decoders
from seqgen.options import OptionError


def test_keeps_the_k_highest_of_equals_the_lowest_ids():
    scores = torch.tensor([[-1.0, -3.0, -1.0, -1.0, -2.0], [-5.0, -1.0, -2.0, -3.0, -4.0]]).double()
    for k, wanted in [(1, [[0], [1]]), (2, [[0, 2], [1, 2]]), (4, [[0, 2, 3, 4], [1, 2, 3, 4]])]:
        kept = TopK(k).truncate(scores)
        assert [row.isfinite().nonzero().flatten().tolist() for row in kept] == wanted
        assert torch.equal(kept[kept.isfinite()], scores[kept.isfinite()])


def test_more_than_there_are_is_refused_where_that_is_known():
    assert decoders.build({"name": "top_k", "k": 5}, vocab_size=5).k == 5
    message = r"`k` must be from 1 to 5, the number of tokens, but is 6"
    with pytest.raises(OptionError, match=message):
        decoders.build({"name": "top_k", "k": 6}, vocab_size=5)


def test_and_means_all_where_it_is_not():
    scores = torch.randn(2, 5).double()
    assert torch.equal(TopK(100).truncate(scores), scores)


@pytest.mark.parametrize("k", [0, -1])
def test_none_is_refused(k):
    with pytest.raises(ValueError, match=f"`k` must be at least 1, but is {k}"):
        TopK(k)
    with pytest.raises(OptionError, match=r"^k: must be"):
        decoders.check({"name": "top_k", "k": k})
