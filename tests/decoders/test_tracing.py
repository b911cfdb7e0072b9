"""What a search considered, kept and dropped, for every decoder."""

import pytest
import torch

from seqgen.decoders import (
    NOBODY,
    Forbid,
    Limits,
    MinimumLength,
    Start,
    Trace,
    Traced,
    constrain,
    constraints,
    decoders,
    watched,
)
from seqgen.decoders.tracing import Counting
from seqgen.errors import DecodeError
from seqgen.testing.decoder import TableModel

LIMITS = Limits(5, (2,))
SOURCES = 3


@pytest.fixture(params=decoders.names())
def decoder(request, small):
    return decoders.build(small(decoders, request.param), seed=3, vocab_size=5)


def traced(decoder, most=5, batch=SOURCES):
    model = TableModel()
    trace = Trace(model, most, LIMITS.ends)
    found = decoder.decode(trace, trace.begin(model.start(batch)), LIMITS)
    return trace, found


def test_what_is_found_is_what_is_found_without(decoder):
    model = TableModel()
    assert traced(decoder)[1] == decoder.decode(model, model.start(SOURCES), LIMITS)


def test_each_hypothesis_is_a_path_of_the_trace(decoder):
    trace, found = traced(decoder)
    for source, hypotheses in enumerate(found):
        ends = trace.ends(source, hypotheses)
        for each, end in zip(hypotheses, ends, strict=True):
            node = end
            chosen = dict(trace.nodes[node].considered)
            log_probs = [chosen[each.tokens[-1]]]
            while trace.nodes[node].parent != NOBODY:
                log_probs.append(trace.nodes[node].log_prob)
                node = trace.nodes[node].parent
            assert tuple(reversed(log_probs)) == pytest.approx(each.log_probs, abs=1e-6)
            assert trace.nodes[node].source == source


def test_what_was_considered_is_what_the_model_says(decoder):
    trace, _ = traced(decoder, most=2)
    model = TableModel()
    for number, node in enumerate(trace.nodes):
        path = trace.path(number)
        tokens = [(token, model.rescore(node.source, [*path, token])[-1]) for token in range(5)]
        best = sorted(tokens, key=lambda pair: -pair[1])[:2]
        assert [token for token, _ in node.considered] == [token for token, _ in best]
        assert [each for _, each in node.considered] == pytest.approx(
            [p for _, p in best], abs=1e-5
        )


def test_a_greedy_search_keeps_the_first_of_each_step():
    trace, [[greedy]] = traced(decoders.build("greedy", seed=1, vocab_size=5), batch=1)
    tokens = [node.token for node in trace.nodes[1:]] + [greedy.tokens[-1]]
    assert tokens == list(greedy.tokens)
    assert [node.considered[0][0] for node in trace.nodes] == tokens
    assert [node.parent for node in trace.nodes] == [NOBODY, *range(len(tokens) - 1)]


def test_a_beam_keeps_its_width_and_drops_the_rest():
    trace, _ = traced(decoders.build({"name": "beam", "beam_size": 2}, seed=1, vocab_size=5))
    depths = {}
    for number, node in enumerate(trace.nodes):
        key = node.source, len(trace.path(number))
        depths[key] = depths.get(key, 0) + 1
    assert {count for (_, depth), count in depths.items() if depth == 0} == {1}
    assert max(depths.values()) == 2
    parents = {(node.source, node.parent, node.token) for node in trace.nodes}
    assert len(parents) == len(trace.nodes)  # no path twice


def test_without_room_nothing_is_noted():
    model = TableModel()
    trace = Trace(model)
    decoder = decoders.build("greedy", seed=1, vocab_size=5)
    [[empty]] = decoder.decode(trace, trace.begin(model.start(1)), Limits(0, (2,)))
    assert trace.nodes == []
    assert trace.ends(0, [empty]) == [NOBODY]


def told(trace, source):
    """The nodes of a source as paths, in their order, with what was considered behind each."""
    mine = [number for number, node in enumerate(trace.nodes) if node.source == source]
    return [(trace.path(number), trace.nodes[number].considered) for number in mine]


def test_what_is_noted_of_a_source_does_not_depend_on_its_neighbours(decoder):
    """Others may have more live paths, which some searches make room for by rows without a path."""
    batch = 12
    trace, _ = traced(decoder, batch=batch)
    model = TableModel()
    whole = model.start(batch, torch.arange(batch))
    for source in range(batch):
        row = torch.tensor([source])
        alone = Trace(model, 5, LIMITS.ends)
        decoder.decode(alone, alone.begin(type(whole)(*(each[row] for each in whole))), LIMITS)
        paths, wanted = told(trace, source), told(alone, 0)
        assert [path for path, _ in paths] == [path for path, _ in wanted]
        for (_, one), (_, other) in zip(paths, wanted, strict=True):
            assert [token for token, _ in one] == [token for token, _ in other]
            assert [each for _, each in one] == pytest.approx([each for _, each in other], abs=1e-6)


def test_no_path_goes_on_behind_its_end_or_is_impossible(decoder):
    model = TableModel()
    trace = Trace(Forbid(model, [3]), 5, LIMITS.ends)
    decoder.decode(trace, trace.begin(model.start(12)), LIMITS)
    for number, node in enumerate(trace.nodes):
        assert not {2, 3} & {*trace.path(number)}
        assert 3 not in dict(node.considered)
        assert len(node.considered) == 4


def test_rows_at_the_same_path_share_a_node():
    """Worked by hand: three rows of one source, two of which go the same way."""
    table = torch.tensor([[0.5, 0.25, 0.25], [0.125, 0.75, 0.125], [1.0, 0.0, 0.0]]).log()

    class Table:
        def step(self, tokens, state, context):
            return table[tokens], state

    trace = Trace(Table(), 2)
    start = trace.begin(TableModel().start(1)._replace(tokens=torch.tensor([2]), state=None))
    state = type(start.state)(*(each and each[[0, 0, 0]] for each in start.state[:1]),
                              *(each[[0, 0, 0]] for each in start.state[1:]))  # fmt: skip
    _, state = trace.step(torch.tensor([2, 2, 2]), state, None)
    assert [node.considered for node in trace.nodes] == [((0, 0.0),)]
    _, state = trace.step(torch.tensor([0, 0, 1]), state, None)  # 1 is impossible behind 2
    trace.step(torch.tensor([1, 0, 2]), state, None)
    assert [(node.parent, node.token) for node in trace.nodes] == [(-1, 2), (0, 0), (1, 1), (1, 0)]
    assert trace.nodes[2].log_prob == pytest.approx(torch.tensor(0.25).log().item())
    assert trace.path(2) == (0, 1)


@pytest.mark.parametrize("fault", [float("nan"), float("inf"), float("-inf")])
def test_bad_scores_are_still_the_search_s_to_complain_of(decoder, fault):
    model = TableModel()

    class Faulty:
        def step(self, tokens, state, context):
            log_probs, state = model.step(tokens, state, context)
            log_probs[1] = fault
            return log_probs, state

    trace = Trace(Faulty(), 2)
    with pytest.raises(DecodeError, match=r"row \d at step 1 have"):
        decoder.decode(trace, trace.begin(model.start(3)), LIMITS)


# The constraint that keeps a trace, for every decoder.


LIMITS_TRACED = Limits(6, (2,))


def search(decoder):
    model = TableModel()
    stepper, start = constrain(decoder.constraints, model, model.start(3), LIMITS_TRACED)
    return decoder.decode(stepper, start, LIMITS_TRACED)


@pytest.mark.parametrize("name", decoders.names())
def test_a_watched_search_finds_the_same_and_leaves_a_trace(name, small):
    decoder = decoders.build(small(decoders, name), seed=3, vocab_size=5)
    decoder.constraints = (MinimumLength(3),)
    traced = Traced(most=2)
    found = search(watched(decoder, traced))
    assert found == search(decoder)
    [trace] = traced.traces
    assert max(len(node.considered) for node in trace.nodes) == 2
    for source, hypotheses in enumerate(found):
        ends = trace.ends(source, hypotheses)
        assert [trace.path(end) for end in ends] == [each.tokens[:-1] for each in hypotheses]


def test_it_sees_what_the_constraints_leave():
    decoder = decoders.build("greedy", seed=1, vocab_size=5)
    decoder.constraints = (MinimumLength(5),)
    traced = Traced()
    search(watched(decoder, traced))
    considered = [token for node in traced.traces[0].nodes for token, _ in node.considered]
    assert considered
    early = [node for node in traced.traces[0].nodes if len(node.considered) == 4]
    assert len(early) == 3 * 5  # no end before the sixth token
    assert not any(token == 2 for node in early for token, _ in node.considered)


def test_each_search_has_a_trace_of_its_own():
    traced = Traced()
    decoder = watched(decoders.build("greedy", seed=1, vocab_size=5), traced)
    search(decoder)
    search(decoder)
    one, other = traced.traces
    assert one is not other
    assert one.nodes == other.nodes


def test_no_recipe_can_ask_for_it():
    assert "traced" not in constraints.names()


def test_nothing_considered_is_nothing_to_see():
    with pytest.raises(ValueError, match="`most` must be at least 1, but is 0"):
        Traced(0)


# What a search has the model read, for every decoder, and worked out by hand for two of them.


VOCAB, BATCH = 5, 12
LENGTHS = [5, 3, 1, 0, 7, 2, 5, 5, 1, 0, 4, 7]


@pytest.fixture(params=decoders.names())
def decoder_counting(request, small):
    return decoders.build(small(decoders, request.param), seed=3, vocab_size=VOCAB)


@pytest.fixture(params=constraints.names())
def constraint(request, small, supplied):
    return constraints.build(small(constraints, request.param), **supplied)


def decoded(decoder_counting, stepper, start, limits, batch=None):
    """What it finds in its own constraints."""
    stepper, start = constrain(decoder_counting.constraints, stepper, start, limits, batch)
    return decoder_counting.decode(stepper, start, limits)


def rows_of(start, rows):
    return Start(*(None if each is None else each[rows] for each in start))


@pytest.mark.parametrize("ends", [(), (2,), (2, 4)])
def test_what_is_found_is_what_is_found_without_counting(decoder_counting, ends):
    model, limits = TableModel(), Limits(LENGTHS, ends)
    counting = Counting()
    found = decoded(watched(decoder_counting, counting), model, model.start(BATCH), limits)
    assert model.steps == counting.calls > 0
    assert found == decoder_counting.decode(TableModel(), model.start(BATCH), limits)


@pytest.mark.parametrize("ends", [(), (2,), (2, 4)])
def test_rows_do_not_depend_on_the_sources_beside_them(decoder_counting, ends):
    model = TableModel()
    start = model.start(BATCH, torch.arange(BATCH))
    together, apart = Counting(), Counting()
    decoded(watched(decoder_counting, together), model, start, Limits(LENGTHS, ends))
    for source in range(BATCH):
        one = rows_of(start, slice(source, source + 1))
        decoded(
            watched(decoder_counting, apart), model, one, Limits(LENGTHS[source : source + 1], ends)
        )
    assert together.rows == apart.rows
    assert together.calls < apart.calls


@pytest.mark.parametrize("name", ["beam", "diverse_beam", "stochastic_beam"])
def test_nor_do_they_in_constraints(name, constraint, small, deep):
    """Which leave some sources fewer paths than others."""
    decoder_counting = watched(
        decoders.build(small(decoders, name), seed=3, vocab_size=VOCAB), constraint
    )
    start, limits = deep.start(BATCH, torch.arange(BATCH)), Limits(6, (2,))
    together, apart = Counting(), Counting()
    decoded(watched(decoder_counting, together), deep, start, limits, torch.arange(BATCH))
    for source in range(BATCH):
        row = torch.tensor([source])
        decoded(watched(decoder_counting, apart), deep, rows_of(start, row), limits, row)
    assert together.rows == apart.rows


class TestByHand:
    """The transitions 0 to 1, to 2, to 3, where 3 is the end; each with the probability 0.7, and
    0.1 for each other token. Sources begin behind 0, 1, 2, so they end after 3, 2, 1 tokens."""

    @pytest.fixture
    def chain(self, tables):
        probabilities = torch.full((4, 4), 0.1)
        probabilities[torch.arange(4), torch.tensor([1, 2, 3, 0])] = 0.7
        return tables(probabilities.log())

    def counted(self, decoder_counting, chain, sources, limit=6):
        counting = Counting()
        limits = Limits(limit, (3,))
        decoded(
            watched(decoders.build(decoder_counting), counting), chain, chain.start(sources), limits
        )
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
        decoder_counting = decoders.build(spec, seed=1, vocab_size=4)
        counting = Counting()
        decoded(watched(decoder_counting, counting), chain, chain.start(3), Limits(6, (3,)))
        assert (counting.calls, counting.rows) == (3, 4 * 6)


def test_the_constraints_of_the_decoder_stay(deep, supplied):
    forbid = constraints.build({"name": "forbid", "texts": ["1"]}, **supplied)
    decoder_counting = watched(decoders.build("greedy"), forbid)
    counting = Counting()
    found = decoded(watched(decoder_counting, counting), deep, deep.start(4), Limits(6))
    assert (counting.calls, counting.rows) == (6, 24)
    assert all(1 not in each.tokens for [each] in found)


def test_of_an_ensemble_the_own_model_counts(deep, other, supplied):
    ensemble = constraints.build({"name": "ensemble", "runs": ["other"]}, **supplied)
    counting = Counting()
    decoder_counting = watched(watched(decoders.build("greedy"), ensemble), counting)
    decoded(decoder_counting, deep, deep.start(4), Limits(6), torch.arange(4))
    assert (counting.calls, counting.rows) == (6, 24)
