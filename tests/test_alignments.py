"""Where a model looked, for each token of what it made of a source."""

import pytest

import seqgen

RECIPE = """\
data: {name: pairs, path: pairs.tsv, split: [0.8, 0.1, 0.1], batch_size: 8}
model:
  name: seq2seq
  encoder: {name: bidirectional, embedding: {size: 6}, cell: {name: gru, hidden_size: 6}}
  attention: general
  embedding: {size: 6}
  cell: {name: lstm, hidden_size: 6}
train: {max_steps: 3, validations: 1}
samples: {length: 4}
generation: {max_length: 6}
threads: 1
"""


@pytest.fixture
def run_of(place, train):
    place.write("pairs.tsv", "".join(f"{n}\t{n:b}\n" for n in range(60)))
    place.write("pairs.yaml", RECIPE)

    def run(*overrides):
        return seqgen.load(train(*overrides, recipe="pairs.yaml"))

    return run


def test_each_token_has_a_weight_for_each_of_the_source(run_of):
    run = run_of()
    sources = ["7", "123456", "58"]
    found = [best for best, *_ in run.continuations(sources, run.decoder("beam"))]
    aligned = run.alignments(found)
    for source, each, alignment in zip(sources, found, aligned, strict=True):
        assert alignment.source == (*source, "<eos>")
        assert alignment.output == each.pieces
        assert len(alignment.weights) == len(each.pieces) > 0
        for row in alignment.weights:
            assert len(row) == len(source) + 1
            assert min(row) >= 0
            assert sum(row) == pytest.approx(1, abs=1e-5)


def test_a_row_does_not_depend_on_its_neighbours(run_of):
    run = run_of()
    found = [best for best, *_ in run.continuations(["7", "123456"], run.decoder("greedy"))]
    [alone] = run.alignments(found[:1])
    beside = run.alignments(found)[0]
    assert alone[:2] == beside[:2]
    for one, other in zip(alone.weights, beside.weights, strict=True):
        assert one == pytest.approx(other, abs=1e-6)


def test_without_attention_or_outputs_there_is_nothing(run_of):
    run = run_of("model.attention=none")
    found = [best for best, *_ in run.continuations(["7"], run.decoder("greedy"))]
    assert run.alignments(found) == []
    assert run.alignments([]) == []
