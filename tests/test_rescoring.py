"""Rescoring: the model's own probability of outputs, whoever has found them."""

import math

import pytest

import seqgen
from seqgen.machine import double_precision
from seqgen.rescoring import rescored
from seqgen.tokenizers import EOS, UNK


@pytest.fixture(scope="module")
def run(pairs_run):
    return seqgen.load(pairs_run)


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


def test_what_the_model_is_not_let_say_is_impossible(run):
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
