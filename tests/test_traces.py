"""How outputs were found, as plain data, for every decoder."""

import json
from dataclasses import replace

import pytest
import torch

from seqgen import traces as module
from seqgen.answers import Wanted, outputs
from seqgen.cells import cells
from seqgen.data import data
from seqgen.decoders import AllowedBy, Beam, Exact, Greedy, Multinomial, decoders
from seqgen.generate import Generator
from seqgen.models import models
from seqgen.tokenizers import CharTokenizer
from seqgen.traces import CONSIDERED, traces

TEXTS = ["b", "", "the bad face", "a\n", "hhhhhh"]
WANTED = Wanted(batch_size=2, max_length=6)
SPEC = {"name": "some", "size": 3}


@pytest.fixture
def generator(small):
    torch.manual_seed(1)
    tokenizer = CharTokenizer(alphabet="abcdefgh é\n")
    spec = {"name": "language_model", "cell": small(cells, "lstm_cell")}
    model = models.build(spec, vocab_size=len(tokenizer))
    for each in model.parameters():
        each.data.mul_(3)
    kind = data.build({"name": "text", "corpus": "unicode_names"}, seed=1)
    return Generator(model, {"text": tokenizer}, kind, torch.device("cpu"))


def told(generator, decoder, texts=TEXTS, wanted=WANTED, numbers=None):
    return [each.trace for each in traces(generator, decoder, SPEC, texts, wanted, numbers)]


def way(trace, output):
    """The pieces of an output and their log-probabilities, as the trace has them."""
    node = output["node"]
    steps = [(output["last"], output["last_log_prob"])]
    while node > 0:
        steps.append((trace["nodes"][node]["token"], trace["nodes"][node]["log_prob"]))
        node = trace["nodes"][node]["parent"]
    assert node == 0
    return tuple(zip(*reversed(steps), strict=True))


@pytest.mark.parametrize("name", decoders.names())
def test_every_output_is_there_with_the_way_to_it(generator, small, name):
    decoder = decoders.build(small(decoders, name), seed=3, vocab_size=len(generator.tokenizer))
    wanted = WANTED._replace(samples=2)
    found = traces(generator, decoder, SPEC, TEXTS, wanted, [3, 1, 4, 0, 2])
    assert [each.outputs for each in found] == outputs(
        generator, decoder, TEXTS, wanted, [3, 1, 4, 0, 2]
    )
    for text, (made, trace) in zip(TEXTS, found, strict=True):
        assert trace["input"] == text
        assert trace["continues"] is True
        assert trace["decoder"] == SPEC
        assert trace["start"] == trace["nodes"][0]["token"] == (text[-1:] or "<bos>")
        assert json.loads(json.dumps(trace)) == trace
        for each, output in zip(made, trace["outputs"], strict=True):
            assert output["text"] == each.text
            assert output["log_prob"] == pytest.approx(each.hypothesis.score, abs=1e-5)
            assert output.get("rank") == pytest.approx(each.hypothesis.rank, abs=1e-5)
            pieces, log_probs = way(trace, output)
            assert pieces == each.pieces
            assert log_probs == pytest.approx(each.hypothesis.log_probs, abs=1e-5)


def test_nodes_are_in_the_order_of_steps_with_what_was_considered(generator):
    [trace] = told(generator, Beam(beam_size=3), ["b"])
    depths = []
    for place, node in enumerate(trace["nodes"]):
        assert node["parent"] < place
        depths.append(0 if node["parent"] < 0 else depths[node["parent"]] + 1)
        assert len(node["considered"]) == CONSIDERED
        values = [log_prob for _, log_prob in node["considered"]]
        assert values == sorted(values, reverse=True)
        if node["parent"] >= 0:
            before = trace["nodes"][node["parent"]]["considered"]
            assert [node["token"], node["log_prob"]] in before
    assert depths == [0] + [depth for depth in range(1, 6) for _ in range(3)]


def test_a_greedy_trace_is_one_path_of_the_most_probable(generator):
    for trace in told(generator, Greedy()):
        assert [node["parent"] for node in trace["nodes"]] == [-1, 0, 1, 2, 3, 4]
        [output] = trace["outputs"]
        chosen = [node["token"] for node in trace["nodes"][1:]] + [output["last"]]
        assert chosen == [node["considered"][0][0] for node in trace["nodes"]]
        assert "".join(chosen) == output["text"]


def test_a_trace_does_not_depend_on_the_batch(generator):
    generator = replace(generator, model=generator.model.double())
    try:
        torch.set_default_dtype(torch.float64)
        for decoder in (Beam(beam_size=3, n_best=3), Multinomial(seed=4), Exact(max_nodes=40)):
            wanted = told(generator, decoder)
            assert told(generator, decoder, wanted=WANTED._replace(batch_size=5)) == wanted
            assert told(generator, decoder, TEXTS[2:3], numbers=[2]) == wanted[2:3]
    finally:
        torch.set_default_dtype(torch.float32)


def test_samples_that_begin_alike_share_what_is_told(generator):
    [trace] = told(generator, Multinomial(seed=4), ["b"], WANTED._replace(samples=40))
    assert len(trace["outputs"]) == 40
    assert [node["parent"] for node in trace["nodes"]].count(-1) == 1
    children = [(node["parent"], node["token"]) for node in trace["nodes"]]
    assert len(set(children)) == len(children)


def test_a_long_search_is_cut_but_not_the_ways_to_outputs(generator, monkeypatch):
    beam = Beam(beam_size=4, n_best=2)
    [whole] = told(generator, beam, ["b"])
    assert "left_out" not in whole
    monkeypatch.setattr(module, "MOST_NODES", 14)
    [cut] = told(generator, beam, ["b"])
    assert len(cut["nodes"]) == 14
    assert cut["left_out"] == len(whole["nodes"]) - 14
    assert [way(cut, each) for each in cut["outputs"]] == [
        way(whole, each) for each in whole["outputs"]
    ]
    assert cut["nodes"][:6] == whole["nodes"][:6]
    monkeypatch.setattr(module, "MOST_NODES", 1)
    [least] = told(generator, beam, ["b"])
    assert [way(least, each) for each in least["outputs"]] == [
        way(whole, each) for each in whole["outputs"]
    ]


def test_without_room_there_is_nothing_to_tell(generator):
    for trace in told(generator, Greedy(), wanted=WANTED._replace(max_length=0)):
        assert trace["nodes"] == []
        assert trace["start"] == (trace["input"][-1:] or "<bos>")
        assert trace["outputs"] == [{"text": "", "log_prob": 0.0, "finished": False, "node": -1}]


def test_where_constraints_leave_nothing_it_says_so(generator):
    beam = Beam(beam_size=2)
    beam.constraints = (AllowedBy(lambda tokens: [5] if len(tokens) < 2 else []),)
    [trace] = told(generator, beam, ["b"])
    assert [(each["satisfied"], each["finished"]) for each in trace["outputs"]] == [(False, False)]
    assert [len(node["considered"]) for node in trace["nodes"]] == [1, 1, 0]
    assert trace["outputs"][0]["node"] == 1


def test_a_search_that_gave_up_says_so(generator):
    [trace] = told(generator, Exact(max_nodes=3), ["b"])
    assert [each["complete"] for each in trace["outputs"]] == [False]
    [trace] = told(generator, Beam(beam_size=2), ["b"])
    assert "complete" not in trace["outputs"][0]


def test_no_texts_no_traces(generator):
    assert told(generator, Greedy(), []) == []
