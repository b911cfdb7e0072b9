"""NBest: the best hypotheses so far."""

import itertools

from seqgen.decoders import Hypothesis
from seqgen.decoders.n_best import NBest, merge, standing


def hypothesis(token, score, rank=None):
    return Hypothesis((token,), score, True, (score,), rank)


def kept(size, hypotheses):
    found = NBest(size)
    for each in hypotheses:
        found.add(each)
    return found


def test_a_rank_goes_before_a_score():
    assert standing(hypothesis(0, -3.0)) == -3.0
    assert standing(hypothesis(0, -3.0, -1.0)) == -1.0
    assert standing(hypothesis(0, -3.0, 0.0)) == 0.0


def test_keeps_the_best_in_any_order():
    every = [hypothesis(i, -float(i)) for i in range(5)]
    for order in itertools.permutations(every):
        assert kept(3, order).hypotheses == every[:3]


def test_of_equals_the_first():
    first, second, third = (hypothesis(i, -1.0) for i in range(3))
    assert kept(2, [second, third, first]).hypotheses == [second, third]


def test_the_threshold_is_that_of_the_last_once_it_is_full():
    found = kept(2, [hypothesis(0, -1.0)])
    assert found.threshold == float("-inf")
    found.add(hypothesis(1, -4.0))
    assert found.threshold == -4.0
    found.add(hypothesis(2, -2.0))
    assert found.threshold == -2.0


def test_merging_has_each_sequence_once():
    one = kept(3, [hypothesis(0, -1.0), hypothesis(1, -3.0)])
    other = kept(3, [hypothesis(2, -2.0), hypothesis(0, -1.0)])
    assert [each.tokens for each in merge([one, other], 3)] == [(0,), (2,), (1,)]
    assert [each.tokens for each in merge([one, other], 2)] == [(0,), (2,)]
    assert merge([NBest(2)], 2) == []
