"""What a search considered, kept and dropped, for every decoder."""

import pytest

from seqgen.decoders import Limits, decoders
from seqgen.decoders.trace import NOBODY, Trace
from seqgen.testing.tables import TableModel

LIMITS = Limits(5, (2,))
SOURCES = 3


@pytest.fixture(params=decoders.names())
def decoder(request, small):
    return decoders.build(small(decoders, request.param), seed=3, vocab_size=5)


def traced(decoder, most=5, batch=SOURCES):
    model = TableModel()
    trace = Trace(model, most)
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
