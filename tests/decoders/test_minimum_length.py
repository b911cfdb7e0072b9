"""The constraint `minimum_length`."""

import pytest
import torch

from seqgen.decoders import Limits, MinimumLength, constrain, decoders

BATCH = 12


@pytest.mark.parametrize("search", ["greedy", "multinomial", "beam"])
@pytest.mark.parametrize("length", [0, 1, 4])
def test_no_sequence_ends_before(deep, search, length):
    limits = Limits(9, (2, 4))
    decoder = decoders.build(search, seed=3, vocab_size=5)
    found = decoder.decode(
        *constrain([MinimumLength(length)], deep, deep.start(BATCH), limits), limits
    )
    lengths = [len(each.tokens) - each.finished for [each] in found]
    assert min(lengths) == length
    assert any(each.finished for [each] in found)


def test_the_other_scores_stay(deep):
    start = deep.start(BATCH)
    stepper, begun = MinimumLength(1).wrap(deep, start, Limits(5, (2,)), None)
    plain, _ = deep.step(*start[:3])
    found, _ = stepper.step(*begun[:3])
    others = [0, 1, 3, 4]
    assert torch.equal(found[:, others], plain[:, others])
    assert (found[:, 2] == float("-inf")).all()


def test_below_zero_is_refused():
    with pytest.raises(ValueError, match="`length` must be at least 0, but is -1"):
        MinimumLength(-1)
