"""What a search considered, kept and dropped, and what it has the model read, for every decoder."""

import pytest
import torch

from seqgen.decoders import (
    Drawing,
    Greedy,
    Limits,
    MinimumLength,
    Multinomial,
    SearchTrace,
    TopK,
    Tracing,
    WithoutTokens,
    constrain,
    constraints,
    decoders,
    watched,
)
from seqgen.decoders.tracing import Counting
from seqgen.errors import DecodeError
from seqgen.state import reorder
from seqgen.testing.decoder import TableModel

from .conftest import BATCH, Table, build, constrained, rows_of

LIMITS = Limits(5, (2,))
SOURCES = 3


def traced(decoder, most=5, batch=SOURCES, stepper=None, start=None):
    model = TableModel()
    trace = SearchTrace(most, LIMITS.ends)
    begun = trace.watch(stepper or model, model.start(batch) if start is None else start)
    return trace, decoder.decode(*begun, LIMITS)


def test_what_was_considered_is_what_the_model_says(decoder):
    trace, _ = traced(decoder, most=2)
    model = TableModel()
    for number, node in enumerate(trace.nodes):
        path = trace.path(number)
        tokens = [(token, model.rescore(node.source, [*path, token])[-1]) for token in range(5)]
        best = sorted(tokens, key=lambda pair: -pair[1])[:2]
        assert [token for token, _ in node.considered] == [token for token, _ in best]
        assert [each for _, each in node.considered] == pytest.approx(
            [each for _, each in best], abs=1e-5
        )


def test_what_is_recorded_of_a_source_does_not_depend_on_the_batch(decoder):
    """Others may have more live paths, which some searches make room for by rows without a path."""

    def paths(trace, source):
        own = [number for number, node in enumerate(trace.nodes) if node.source == source]
        return [(trace.path(number), trace.nodes[number].considered) for number in own]

    trace, _ = traced(decoder, batch=BATCH)
    whole = TableModel().start(BATCH, torch.arange(BATCH))
    for source in range(BATCH):
        alone, _ = traced(decoder, start=rows_of(whole, [source]))
        found, wanted = paths(trace, source), paths(alone, 0)
        assert [path for path, _ in found] == [path for path, _ in wanted]
        for (_, one), (_, other) in zip(found, wanted, strict=True):
            assert [token for token, _ in one] == [token for token, _ in other]
            assert [each for _, each in one] == pytest.approx([each for _, each in other], abs=1e-6)


def test_no_path_goes_on_after_its_end_or_is_impossible(decoder):
    trace, _ = traced(decoder, batch=BATCH, stepper=WithoutTokens(TableModel(), [3]))
    for number, node in enumerate(trace.nodes):
        assert not {2, 3} & {*trace.path(number)}
        assert 3 not in dict(node.considered)
        assert len(node.considered) == 4


def test_rows_at_the_same_path_share_a_node():
    """Worked by hand: three rows of one source, two of which go the same way."""
    table = Table(torch.tensor([[0.5, 0.25, 0.25], [0.125, 0.75, 0.125], [1.0, 0.0, 0.0]]).log())
    trace = SearchTrace(2)
    stepper, start = trace.watch(table, rows_of(table.start(3), [2]))
    state = reorder(start.state, torch.tensor([0, 0, 0]))
    _, state = stepper.step(torch.tensor([2, 2, 2]), state, None)
    assert [node.considered for node in trace.nodes] == [((0, 0.0),)]
    _, state = stepper.step(torch.tensor([0, 0, 1]), state, None)  # 1 is impossible after 2
    stepper.step(torch.tensor([1, 0, 2]), state, None)
    assert [(node.parent, node.token) for node in trace.nodes] == [(-1, 2), (0, 0), (1, 1), (1, 0)]
    assert trace.nodes[2].log_prob == pytest.approx(torch.tensor(0.25).log().item())
    assert trace.path(2) == (0, 1)


@pytest.mark.parametrize("fault", [float("nan"), float("inf"), float("-inf")])
def test_bad_scores_are_still_refused_by_the_search(decoder, fault):
    model = TableModel()

    class Faulty:
        def step(self, tokens, state, context):
            log_probs, state = model.step(tokens, state, context)
            log_probs[1] = fault
            return log_probs, state

    with pytest.raises(DecodeError, match=r"row \d at step 1 have"):
        traced(decoder, 2, stepper=Faulty())


# The constraint that keeps a trace, for every decoder.
def search(decoder):
    model = TableModel()
    return constrained(decoder, decoder.constraints, model, model.start(SOURCES), Limits(6, (2,)))


def test_a_watched_search_finds_the_same_and_leaves_a_trace_each_time(decoder):
    decoder.constraints = (MinimumLength(3),)
    tracing = Tracing(most=2)
    found = search(watched(decoder, tracing))
    assert found == search(decoder) == search(watched(decoder, tracing))
    trace, again = tracing.traces
    assert trace.nodes == again.nodes
    assert max(len(node.considered) for node in trace.nodes) == 2
    for source, hypotheses in enumerate(found):
        ends = trace.ends(source, hypotheses)
        assert [trace.path(end) for end in ends] == [each.tokens[:-1] for each in hypotheses]


def test_it_sees_what_the_constraints_leave():
    decoder, tracing = Greedy(), Tracing()
    decoder.constraints = (MinimumLength(5),)
    search(watched(decoder, tracing))
    early = [node for node in tracing.traces[0].nodes if len(node.considered) == 4]
    assert len(early) == 3 * 5  # no end before the sixth token
    assert not any(token == 2 for node in early for token, _ in node.considered)


def test_no_recipe_can_ask_for_it_and_nothing_considered_is_nothing_to_see():
    assert "traced" not in constraints.names()
    with pytest.raises(ValueError, match="`most` must be at least 1 and"):
        Tracing(0)


# What a search has the model read, for every decoder, and worked out by hand for two of them.
LENGTHS = [5, 3, 1, 0, 7, 2, 5, 5, 1, 0, 4, 7]


def counted(decoder, stepper, start, limits, batch=None):
    """What it reads and finds in its own constraints."""
    counting = Counting()
    watching = watched(decoder, counting)
    return counting, constrained(watching, watching.constraints, stepper, start, limits, batch)


@pytest.mark.parametrize("ends", [(), (2,), (2, 4)])
def test_counting_changes_nothing_and_rows_do_not_depend_on_the_batch(decoder, ends):
    model = TableModel()
    start = model.start(BATCH, torch.arange(BATCH))
    together, found = counted(decoder, model, start, Limits(LENGTHS, ends))
    assert model.steps == together.calls > 0
    assert found == decoder.decode(TableModel(), start, Limits(LENGTHS, ends))
    apart = [
        counted(decoder, model, rows_of(start, [source]), Limits(length, ends))[0]
        for source, length in enumerate(LENGTHS)
    ]
    assert together.rows == sum(each.rows for each in apart)
    assert together.calls < sum(each.calls for each in apart)


@pytest.mark.parametrize("name", ["beam", "diverse_beam", "stochastic_beam"])
def test_nor_do_they_in_constraints(name, constraint, small, deep):
    """Which leave some sources fewer paths than others."""
    decoder = watched(build(small(decoders, name)), constraint)
    start, limits = deep.start(BATCH, torch.arange(BATCH)), Limits(6, (2,))
    together, _ = counted(decoder, deep, start, limits, torch.arange(BATCH))
    apart = [
        counted(decoder, deep, rows_of(start, [source]), limits, torch.tensor([source]))[0]
        for source in range(BATCH)
    ]
    assert together.rows == sum(each.rows for each in apart)


@pytest.mark.parametrize(
    ("spec", "sources", "limit", "calls", "seen"),
    [
        # Three sources at the first step, two at the second, one at the third.
        ("greedy", 3, 6, 3, [3, 2, 1]),
        ("greedy", 3, 2, 2, [3, 2]),
        # From 0: [1] 0.7 and, of the ties at 0.1, [0]; the end, 0.1, is third and not entered.
        # Then [1 2] 0.49 and [0 1] 0.07; [1 3] and [0 3] are lower.
        # Then [1 2 3] 0.343 is over, and as the best one of all the search is: 3 steps.
        ({"name": "beam", "beam_size": 2}, 1, 6, 3, [1, 2, 2]),
        # From 1: [2] and [0]; then [2 3] 0.49 is over, and nothing can come above it.
        ({"name": "beam", "beam_size": 2}, 2, 6, 3, [2, 4, 2]),
        ({"name": "minimum_bayes_risk", "samples": 4, "sampler": "greedy"}, 3, 6, 3, [12, 8, 4]),
    ],
)
def test_by_hand(spec, sources, limit, calls, seen):
    """The transitions 0 to 1, to 2, to 3, where 3 is the end; each with the probability 0.7, and
    0.1 for each other token. Sources begin after 0, 1, 2, so they end after 3, 2, 1 tokens."""
    probabilities = torch.full((4, 4), 0.1)
    probabilities[torch.arange(4), torch.tensor([1, 2, 3, 0])] = 0.7
    chain = Table(probabilities.log())
    decoder = decoders.build(spec, seed=1, vocab_size=4)
    counting, _ = counted(decoder, chain, chain.start(sources), Limits(limit, (3,)))
    assert (counting.calls, counting.rows, chain.seen) == (calls, sum(seen), seen)


@pytest.mark.parametrize(
    "spec", [{"name": "forbid", "texts": ["1"]}, {"name": "ensemble", "runs": ["other"]}]
)
def test_the_constraints_of_the_decoder_stay_and_its_own_model_alone_counts(deep, supplied, spec):
    decoder = watched(Greedy(), constraints.build(spec, **supplied))
    counting, found = counted(decoder, deep, deep.start(4), Limits(6), torch.arange(4))
    assert (counting.calls, counting.rows) == (6, 24)
    assert spec["name"] != "forbid" or all(1 not in each.tokens for [each] in found)


@pytest.mark.parametrize("batch", [1, 4])
def test_what_is_drawn_from_is_held_against_what_is_given(batch):
    """Of a table with equal rows: 0.5 0.3 0.2, of which the first two are drawn squared."""
    shares = torch.tensor([0.5, 0.3, 0.2, 0.0], dtype=torch.float64)
    table = Table(shares.log().expand(4, 4))
    drawing = Drawing(TopK(2, temperature=0.5))
    decoder = watched(drawing.decoder, drawing)
    for first in range(0, 4, batch):
        start = table.start(batch, torch.arange(first, first + batch))
        decoder.decode(*constrain(decoder.constraints, table, start, Limits(3)), Limits(3))
    drawn = torch.tensor([25 / 34, 9 / 34], dtype=torch.float64)
    apart = (drawn * (drawn / shares[:2]).log()).sum()
    wanted = [1.0, apart, 0.2, -(drawn * drawn.log()).sum()]
    assert len(drawing.sums) == 3
    for each in drawing.sums:
        assert each.tolist() == pytest.approx([4 * float(value) for value in wanted], abs=1e-6)


def test_what_does_not_draw_has_no_draws():
    beam = decoders.build({"name": "beam", "beam_size": 2}, vocab_size=5)
    for decoder, steps in ((Multinomial(), 5), (Greedy(), 0), (beam, 0)):
        drawing = Drawing(decoder)
        own, model = watched(decoder, drawing), TableModel()
        own.decode(*constrain(own.constraints, model, model.start(2), Limits(5)), Limits(5))
        assert len(drawing.sums) == steps
