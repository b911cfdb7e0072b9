"""The constraint that keeps a trace, for every decoder."""

import pytest

from seqgen.decoders import (
    Limits,
    MinimumLength,
    Traced,
    constrain,
    constraints,
    decoders,
    watched,
)
from seqgen.testing.tables import TableModel

LIMITS = Limits(6, (2,))


def search(decoder):
    model = TableModel()
    stepper, start = constrain(decoder.constraints, model, model.start(3), LIMITS)
    return decoder.decode(stepper, start, LIMITS)


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
