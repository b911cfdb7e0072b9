"""What a search has the model read, for every decoder, and worked out by hand for two of them."""

import pytest
import torch

from seqgen.decoders import Limits, Start, constrain, constraints, decoders, watched
from seqgen.decoders.counting import Counting
from seqgen.testing.tables import TableModel

VOCAB, BATCH = 5, 12
LENGTHS = [5, 3, 1, 0, 7, 2, 5, 5, 1, 0, 4, 7]


@pytest.fixture(params=decoders.names())
def decoder(request, small):
    return decoders.build(small(decoders, request.param), seed=3, vocab_size=VOCAB)


@pytest.fixture(params=constraints.names())
def constraint(request, small, supplied):
    return constraints.build(small(constraints, request.param), **supplied)


def decoded(decoder, stepper, start, limits, batch=None):
    """What it finds in its own constraints."""
    stepper, start = constrain(decoder.constraints, stepper, start, limits, batch)
    return decoder.decode(stepper, start, limits)


def rows_of(start, rows):
    return Start(*(None if each is None else each[rows] for each in start))


@pytest.mark.parametrize("ends", [(), (2,), (2, 4)])
def test_what_is_found_is_what_is_found_without(decoder, ends):
    model, limits = TableModel(), Limits(LENGTHS, ends)
    counting = Counting()
    found = decoded(watched(decoder, counting), model, model.start(BATCH), limits)
    assert model.steps == counting.calls > 0
    assert found == decoder.decode(TableModel(), model.start(BATCH), limits)


@pytest.mark.parametrize("ends", [(), (2,), (2, 4)])
def test_rows_do_not_depend_on_the_sources_beside_them(decoder, ends):
    model = TableModel()
    start = model.start(BATCH, torch.arange(BATCH))
    together, apart = Counting(), Counting()
    decoded(watched(decoder, together), model, start, Limits(LENGTHS, ends))
    for source in range(BATCH):
        one = rows_of(start, slice(source, source + 1))
        decoded(watched(decoder, apart), model, one, Limits(LENGTHS[source : source + 1], ends))
    assert together.rows == apart.rows
    assert together.calls < apart.calls


@pytest.mark.parametrize("name", ["beam", "diverse_beam", "stochastic_beam"])
def test_nor_do_they_in_constraints(name, constraint, small, deep):
    """Which leave some sources fewer paths than others."""
    decoder = watched(decoders.build(small(decoders, name), seed=3, vocab_size=VOCAB), constraint)
    start, limits = deep.start(BATCH, torch.arange(BATCH)), Limits(6, (2,))
    together, apart = Counting(), Counting()
    decoded(watched(decoder, together), deep, start, limits, torch.arange(BATCH))
    for source in range(BATCH):
        row = torch.tensor([source])
        decoded(watched(decoder, apart), deep, rows_of(start, row), limits, row)
    assert together.rows == apart.rows


class TestByHand:
    """The transitions 0 to 1, to 2, to 3, where 3 is the end; each with the probability 0.7, and
    0.1 for each other token. Sources begin behind 0, 1, 2, so they end after 3, 2, 1 tokens."""

    @pytest.fixture
    def chain(self, tables):
        probabilities = torch.full((4, 4), 0.1)
        probabilities[torch.arange(4), torch.tensor([1, 2, 3, 0])] = 0.7
        return tables(probabilities.log())

    def counted(self, decoder, chain, sources, limit=6):
        counting = Counting()
        limits = Limits(limit, (3,))
        decoded(watched(decoders.build(decoder), counting), chain, chain.start(sources), limits)
        return counting.calls, counting.rows, chain.seen

    def test_greedy(self, chain):
        # Three sources at the first step, two at the second, one at the third.
        assert self.counted("greedy", chain, 3) == (3, 6, [3, 2, 1])

    def test_greedy_that_is_cut(self, chain):
        assert self.counted("greedy", chain, 3, limit=2) == (2, 5, [3, 2])

    def test_a_beam_of_two(self, chain):
        # From 0: [1] 0.7 and, of the equals at 0.1, [0]; the end, 0.1, is third and not entered.
        # Then [1 2] 0.49 and [0 1] 0.07; [1 3] and [0 3] are lower.
        # Then [1 2 3] 0.343 is over, and as the best one of all the search is: 3 steps.
        assert self.counted({"name": "beam", "beam_size": 2}, chain, 1) == (3, 5, [1, 2, 2])

    def test_of_two_sources(self, chain):
        # From 1: [2] and [0]; then [2 3] 0.49 is over, and nothing can come above it.
        assert self.counted({"name": "beam", "beam_size": 2}, chain, 2) == (3, 8, [2, 4, 2])

    def test_samples_of_minimum_bayes_risk(self, chain):
        spec = {"name": "minimum_bayes_risk", "samples": 4, "sampler": "greedy"}
        decoder = decoders.build(spec, seed=1, vocab_size=4)
        counting = Counting()
        decoded(watched(decoder, counting), chain, chain.start(3), Limits(6, (3,)))
        assert (counting.calls, counting.rows) == (3, 4 * 6)


def test_the_constraints_of_the_decoder_stay(deep, supplied):
    forbid = constraints.build({"name": "forbid", "texts": ["1"]}, **supplied)
    decoder = watched(decoders.build("greedy"), forbid)
    counting = Counting()
    found = decoded(watched(decoder, counting), deep, deep.start(4), Limits(6))
    assert (counting.calls, counting.rows) == (6, 24)
    assert all(1 not in each.tokens for [each] in found)


def test_of_an_ensemble_the_own_model_counts(deep, other, supplied):
    ensemble = constraints.build({"name": "ensemble", "runs": ["other"]}, **supplied)
    counting = Counting()
    decoder = watched(watched(decoders.build("greedy"), ensemble), counting)
    decoded(decoder, deep, deep.start(4), Limits(6), torch.arange(4))
    assert (counting.calls, counting.rows) == (6, 24)
