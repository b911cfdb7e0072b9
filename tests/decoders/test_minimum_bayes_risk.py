"""Minimum Bayes risk: similarities against their definitions, ranks against all samples."""

import itertools
from collections import Counter

import pytest
import torch

from seqgen.decoders import Greedy, Limits, MinimumBayesRisk, Multinomial, Start, decoders
from seqgen.decoders.minimum_bayes_risk import edit, ngram_f
from seqgen.decoders.noise import child_keys
from seqgen.errors import DecodeError
from seqgen.options import OptionError
from seqgen.state import reorder

from .conftest import Table, tokens_of

SEQUENCES = [
    tuple(each) for length in range(4) for each in itertools.product((0, 1, 7), repeat=length)
]


def distance(one, other):
    """Levenshtein's, by its recursion."""
    if not one or not other:
        return len(one) + len(other)
    replaced = distance(one[1:], other[1:]) + (one[0] != other[0])
    return min(replaced, distance(one[1:], other) + 1, distance(one, other[1:]) + 1)


def test_edit_is_levenshteins():
    for one, other in itertools.product(SEQUENCES[::2], SEQUENCES[::3]):
        wanted = 1 - distance(one, other) / max(len(one), len(other), 1)
        assert edit(one, other) == pytest.approx(wanted)


@pytest.mark.parametrize("similarity", [edit, ngram_f])
def test_it_is_symmetric_from_0_to_1_and_1_for_equals_alone(similarity):
    for one, other in itertools.product(SEQUENCES, repeat=2):
        value = similarity(one, other)
        assert 0 <= value <= 1
        assert value == pytest.approx(similarity(other, one))
        assert (value > 1 - 1e-12) == (one == other)


def test_ngram_f_by_hand():
    # 1-grams: 3 of 4 and 3 of 3; 2-grams: 1 of 3 and 1 of 2; 3-grams: 0 of 2 and 0 of 1; 4: 0 of 1
    precision, recall = (3 / 4 + 1 / 3) / 4, (3 / 3 + 1 / 2) / 4
    wanted = 2 * precision * recall / (precision + recall)
    assert ngram_f((5, 6, 9, 7), (7, 5, 6)) == pytest.approx(wanted)


def test_large_tokens_are_themselves():
    assert edit((100_000, 5), (100_001, 5)) == 0.5
    assert ngram_f((2**40,), (2**41,)) == 0


# The decoder `minimum_bayes_risk`.


LIMITS = Limits(6, (2,))


def content(hypothesis):
    return hypothesis.tokens[:-1] if hypothesis.finished else hypothesis.tokens


@pytest.mark.parametrize(("utility", "similarity"), [("edit", edit), ("ngram_f", ngram_f)])
def test_the_rank_is_the_mean_utility_towards_all_samples(deep, utility, similarity):
    start = deep.start(4, torch.tensor([7, 1, 2**40, 0]))
    decoder = MinimumBayesRisk(5, seed=3, samples=20, n_best=20, utility=utility)
    for source, found in enumerate(decoder.decode(deep, start, LIMITS)):
        rows = torch.full((20,), source)
        alone = reorder(start, rows)
        alone = alone._replace(sequence_ids=child_keys(alone.ids, torch.arange(20)))
        samples = [each for [each] in Multinomial(seed=3).decode(deep, alone, LIMITS)]
        assert {each.tokens for each in found} == {each.tokens for each in samples}
        for each in found:
            towards = [similarity(content(each), content(sample)) for sample in samples]
            assert each.rank == pytest.approx(sum(towards) / 20)


def test_more_samples_change_none_of_those_before(deep):
    def drawn(samples):
        decoder = MinimumBayesRisk(5, seed=3, samples=samples, n_best=samples)
        return [
            {each.tokens for each in found} for found in decoder.decode(deep, deep.start(5), LIMITS)
        ]

    assert all(few <= many for few, many in zip(drawn(4), drawn(16), strict=True))


def test_the_middle_of_many_is_found():
    """Of one certain beginning and random ends, a sample with the most common end is best."""
    logits = 20 * torch.eye(5).roll(1, 1)
    logits[3] = torch.tensor([0.0, 0.0, -30.0, -30.0, 1.5])
    table = Table(logits)
    decoder = MinimumBayesRisk(5, samples=200, n_best=3)
    [found] = decoder.decode(table, Start(torch.tensor([2]), None), Limits(2))
    assert found[0].tokens == (3, 4)
    assert Counter(each.tokens[0] for each in found) == {3: 3}


def test_another_sampler(deep):
    greedy = Greedy().decode(deep, deep.start(5), LIMITS)
    found = MinimumBayesRisk(5, sampler="greedy").decode(deep, deep.start(5), LIMITS)
    assert tokens_of(found) == tokens_of(greedy)
    assert all(each.rank == 1 for [each] in found)


def test_a_fault_is_named_by_its_source_and_step(counting):
    counting.log_probs[4] = float("nan")
    with pytest.raises(DecodeError, match="row 2 at step 3"):
        MinimumBayesRisk(5).decode(counting, counting.start(3), Limits(9))


def test_a_wrong_sampler_is_named_with_its_place():
    with pytest.raises(OptionError) as caught:
        decoders.check({"name": "minimum_bayes_risk", "sampler": {"name": "greedy", "k": 1}})
    assert caught.value.path == ("sampler", "k")
