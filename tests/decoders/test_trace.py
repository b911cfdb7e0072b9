"""What a search considered, kept and dropped, for every decoder."""

import pytest
import torch

from seqgen.decoders import Forbid, Limits, decoders
from seqgen.decoders.trace import NOBODY, Trace
from seqgen.errors import DecodeError
from seqgen.testing.tables import TableModel

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
