"""What explains an output: attention, the model's own scores, and the trace of the search."""

import json
import math

import pytest
import torch

import seqgen
from seqgen import explain as module
from seqgen.cells import cells
from seqgen.data import data
from seqgen.decoders import AllowedByFunction, Beam, Exact, Greedy, Multinomial, decoders
from seqgen.evaluate import DecodingOptions, outputs
from seqgen.explain import CONSIDERED, rescored, traces
from seqgen.generate import Generator
from seqgen.machine import double_precision
from seqgen.models import models
from seqgen.tokenizers import EOS, UNK, CharTokenizer


@pytest.fixture(scope="module")
def run(pairs_run):
    return seqgen.load(pairs_run)


def test_each_token_has_a_weight_for_each_of_the_source_in_any_batch(run):
    sources = ["a", "abcde", "bc"]
    found = [best for best, *_ in run.continuations(sources, run.decoder("beam"))]
    aligned = run.alignments(found)
    for source, each, alignment in zip(sources, found, aligned, strict=True):
        assert alignment.source == (*source, "<eos>")
        assert alignment.output == each.pieces
        assert len(alignment.weights) == len(each.pieces) > 0
        [alone] = run.alignments([each])
        assert alone[:2] == alignment[:2]
        for row, other in zip(alignment.weights, alone.weights, strict=True):
            assert len(row) == len(source) + 1
            assert min(row) >= 0
            assert sum(row) == pytest.approx(1, abs=1e-5)
            assert row == pytest.approx(other, abs=1e-6)


def test_without_attention_or_outputs_there_is_nothing(run, place, train):
    assert run.alignments([]) == []
    place.pairs(f"{n}\t{n:b}" for n in range(60))
    blind = seqgen.load(train("model.attention=none", "train.max_steps=1", recipe="pairs.yaml"))
    found = [best for best, *_ in blind.continuations(["7"], blind.decoder("greedy"))]
    assert blind.alignments(found) == []


# Rescoring: the model's own probability of outputs, whoever has found them.
def test_what_a_search_found_has_the_probability_that_it_said(run):
    texts = ["a", "abcde", "ccc", "ba"]
    found = run.continuations(texts, run.decoder({"name": "beam", "n_best": 2}))
    flat = [each for own in found for each in own]
    scored = rescored(
        run.built.generator(),
        [each.prompt for each in flat],
        [each.hypothesis.tokens for each in flat],
        batch_size=3,
    )
    for each, log_probs in zip(flat, scored, strict=True):
        assert log_probs == pytest.approx(each.hypothesis.log_probs, abs=1e-5)


def test_constraints_do_not_count(run):
    prefix = {"name": "forced_prefix", "text": "EEE"}
    penalty = {"name": "repetition_penalty", "penalty": 3.0}
    [[plain], [penalised]] = [
        run.continuations(["ab"], run.decoder({"name": "greedy", "constraints": own}))[0]
        for own in ([prefix], [penalty, prefix])
    ]
    assert penalised.hypothesis.log_probs[1] < plain.hypothesis.log_probs[1] - 1
    tokens = penalised.hypothesis.tokens
    [log_probs] = rescored(run.built.generator(), ["ab"], [tokens], 8)
    assert log_probs[:3] == pytest.approx(plain.hypothesis.log_probs[:3], abs=1e-5)


def test_what_the_model_may_not_generate_is_impossible(run):
    [log_probs] = rescored(run.built.generator(), ["ab"], [(UNK, EOS)], 8)
    assert log_probs[0] == -math.inf


def test_nothing_has_no_score(run):
    assert rescored(run.built.generator(), [], [], 8) == []
    assert rescored(run.built.generator(), ["ab"], [()], 8) == [()]


def test_in_double_precision_batches_do_not_matter(run, few_words):
    double = run.in_double_precision()
    texts = few_words(40, seed=3)
    with double_precision():
        generator = double.built.generator()
        outputs = [each.upper() for each in texts]
        tokens = [double.built.tokenizer.encode(each).tolist() for each in outputs]
        one, many = (rescored(generator, texts, tokens, size) for size in (1, 32))
    assert all(a == pytest.approx(b, abs=1e-12) for a, b in zip(one, many, strict=True))


# How outputs were found, as plain data, for every decoder.
TEXTS = ["b", "", "the bad face", "a\n", "hhhhhh"]
OPTIONS = DecodingOptions(batch_size=2, max_length=6)
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


def traced(generator, decoder, texts=TEXTS, options=OPTIONS, ids=None):
    return [each.trace for each in traces(generator, decoder, SPEC, texts, options, ids)]


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
    wanted = OPTIONS._replace(samples=2)
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
    [trace] = traced(generator, Beam(beam_size=3), ["b"])
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
    for trace in traced(generator, Greedy()):
        assert [node["parent"] for node in trace["nodes"]] == [-1, 0, 1, 2, 3, 4]
        [output] = trace["outputs"]
        chosen = [node["token"] for node in trace["nodes"][1:]] + [output["last"]]
        assert chosen == [node["considered"][0][0] for node in trace["nodes"]]
        assert "".join(chosen) == output["text"]


def test_samples_that_begin_alike_share_what_is_traced(generator):
    [trace] = traced(generator, Multinomial(seed=4), ["b"], OPTIONS._replace(samples=40))
    assert len(trace["outputs"]) == 40
    assert [node["parent"] for node in trace["nodes"]].count(-1) == 1
    children = [(node["parent"], node["token"]) for node in trace["nodes"]]
    assert len(set(children)) == len(children)


def test_a_long_search_is_cut_but_not_the_ways_to_outputs(generator, monkeypatch):
    beam = Beam(beam_size=4, n_best=2)
    [whole] = traced(generator, beam, ["b"])
    assert "left_out" not in whole
    monkeypatch.setattr(module, "MOST_NODES", 14)
    [cut] = traced(generator, beam, ["b"])
    assert len(cut["nodes"]) == 14
    assert cut["left_out"] == len(whole["nodes"]) - 14
    assert [way(cut, each) for each in cut["outputs"]] == [
        way(whole, each) for each in whole["outputs"]
    ]
    assert cut["nodes"][:6] == whole["nodes"][:6]
    monkeypatch.setattr(module, "MOST_NODES", 1)
    [least] = traced(generator, beam, ["b"])
    assert [way(least, each) for each in least["outputs"]] == [
        way(whole, each) for each in whole["outputs"]
    ]


def test_without_room_there_is_nothing_to_write(generator):
    for trace in traced(generator, Greedy(), options=OPTIONS._replace(max_length=0)):
        assert trace["nodes"] == []
        assert trace["start"] == (trace["input"][-1:] or "<bos>")
        assert trace["outputs"] == [{"text": "", "log_prob": 0.0, "finished": False, "node": -1}]


def test_where_constraints_leave_nothing_it_says_so(generator):
    beam = Beam(beam_size=2)
    beam.constraints = (AllowedByFunction(lambda tokens: [5] if len(tokens) < 2 else []),)
    [trace] = traced(generator, beam, ["b"])
    assert [(each["satisfied"], each["finished"]) for each in trace["outputs"]] == [(False, False)]
    assert [len(node["considered"]) for node in trace["nodes"]] == [1, 1, 0]
    assert trace["outputs"][0]["node"] == 1


def test_a_search_that_gave_up_says_so(generator):
    [trace] = traced(generator, Exact(max_nodes=3), ["b"])
    assert [each["complete"] for each in trace["outputs"]] == [False]
    [trace] = traced(generator, Beam(beam_size=2), ["b"])
    assert "complete" not in trace["outputs"][0]


def test_no_texts_no_traces(generator):
    assert traced(generator, Greedy(), []) == []
