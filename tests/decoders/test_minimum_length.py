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


class Batch:
    """What a start is made of, as far as this constraint looks."""

    lengths = torch.tensor([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11])


@pytest.mark.parametrize("search", ["greedy", "multinomial", "beam"])
def test_no_sequence_ends_before_its_share_of_the_source(deep, search):
    limits = Limits(30, (2, 4))
    decoder = decoders.build(search, seed=3, vocab_size=5)
    start = deep.start(BATCH)
    found = decoder.decode(
        *constrain([MinimumLength(2, ratio=1.5)], deep, start, limits, Batch()), limits
    )
    lengths = [len(each.tokens) - each.finished for [each] in found]
    least = [2, 2, 3, 4, 6, 7, 9, 10, 12, 13, 15, 16]
    assert all(length >= low for length, low in zip(lengths, least, strict=True))
    assert sum(length == low for length, low in zip(lengths, least, strict=True)) >= 3


@pytest.mark.parametrize("option", ["length", "ratio"])
def test_below_zero_is_refused(option):
    with pytest.raises(ValueError, match=f"`{option}` must be at least 0, but is -1"):
        MinimumLength(**{option: -1})
