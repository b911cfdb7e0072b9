"""Compiled texts are those that the decoders choose step by step."""

from __future__ import annotations

import pytest
import torch

from seqgen.data import Prompts
from seqgen.decoders import Limits, Start, WithoutTokens, decoders
from seqgen.decoders.sampling import PathDecoder
from seqgen.errors import DecodeError
from seqgen.fast import Choice, compiled_text
from seqgen.models import evaluating, models

pytest.importorskip("numba", reason="texts are compiled by numba")
from seqgen.fast import kernels

pytestmark = pytest.mark.skipif(not kernels.HAS_PRODUCT, reason="torch has no sgemm to call")

VOCAB = 7


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path_factory, monkeypatch):
    """Loops are kept for the tests of one process, and not among the user's."""
    monkeypatch.setenv("SEQGEN_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


class Counting:
    """`log p(next | last)` as a table `[vocab, vocab]`; counts the steps that it is asked for."""

    def __init__(self, log_probs):
        self.log_probs = log_probs
        self.steps = 0

    def step(self, tokens, state, context):
        self.steps += 1
        return self.log_probs.index_select(0, tokens), state


@pytest.fixture
def table():
    torch.manual_seed(3)
    return Counting((2 * torch.randn(VOCAB, VOCAB)).log_softmax(-1))


def both(spec, stepper, start, limits, monkeypatch):
    """What a decoder finds step by step, and what it finds compiled."""
    found = []
    for least in (10**9, 1):
        monkeypatch.setattr(PathDecoder, "compiled_from", least)
        stepper.steps = 0
        decoder = decoders.build(spec, seed=5, vocab_size=VOCAB, encode=None, load=None)
        found.append((decoder.decode(stepper, start, limits)[0][0], stepper.steps))
    return found


@pytest.mark.parametrize("temperature", [0.0, 1e-4, 0.6, 1.0, 50.0])
@pytest.mark.parametrize(
    "spec",
    [
        {"name": "multinomial"},
        {"name": "top_k", "k": 1},
        {"name": "top_k", "k": 3},
        {"name": "top_k", "k": VOCAB},
        {"name": "top_p", "p": 0.01},
        {"name": "top_p", "p": 0.7},
        {"name": "top_p", "p": 1.0},
        {"name": "min_p", "p": 0.0},
        {"name": "min_p", "p": 0.3},
        {"name": "min_p", "p": 1.0},
        {"name": "typical", "p": 0.5},
        {"name": "typical", "p": 1.0},
    ],
    ids=str,
)
def test_samplers(spec, temperature, table, monkeypatch):
    start, limits = Start(torch.tensor([0]), None), Limits(300)
    (slow, steps), (fast, asked) = both(
        {**spec, "temperature": temperature}, table, start, limits, monkeypatch
    )
    assert steps == 300
    assert asked < 10
    assert fast.tokens == slow.tokens
    assert fast == slow


@pytest.mark.parametrize(
    "scores",
    [[0.0] * VOCAB, [-9.0, -1, -1, -1, -1, -9, -9], [-torch.inf, 0, -torch.inf, 0, 0, 0, 0]],
    ids=["equal", "ties", "impossible"],
)
@pytest.mark.parametrize("name", ["top_k", "top_p", "min_p", "typical"])
def test_ties_go_to_the_lowest_ids(name, scores, monkeypatch):
    table = Counting(torch.tensor(scores).expand(VOCAB, VOCAB).contiguous())
    spec = {"name": name, **({"k": 2} if name == "top_k" else {"p": 0.5})}
    (slow, _), (fast, _) = both(spec, table, Start(torch.tensor([0]), None), Limits(200), monkeypatch)
    assert fast == slow


@pytest.mark.parametrize("ends", [(), (4,), (2, 4)], ids=["no end", "one", "two"])
def test_ends_and_limits(ends, table, monkeypatch):
    for length in (1, 63, 64, 65, 200):
        limits = Limits(length, ends)
        (slow, _), (fast, _) = both(
            "multinomial", table, Start(torch.tensor([1]), None), limits, monkeypatch
        )
        assert fast == slow


def test_scores_that_no_search_goes_on_from(monkeypatch):
    log_probs = torch.full((VOCAB, VOCAB), -torch.inf)
    log_probs[torch.arange(4), torch.arange(1, 5)] = 0.0  # 0 1 2 3 4, and nothing after 4
    table = Counting(log_probs)
    decoder = decoders.build("greedy", seed=0, vocab_size=VOCAB, encode=None, load=None)
    monkeypatch.setattr(PathDecoder, "compiled_from", 1)
    with pytest.raises(DecodeError, match="row 0 at step 5 have -inf as the best score"):
        decoder.decode(table, Start(torch.tensor([0]), None), Limits(100))


@pytest.mark.parametrize(
    "cell",
    [
        {"name": "lstm"},
        {"name": "gru"},
        {"name": "stack", "cells": ["layer_norm_lstm", "rnn_cell"]},
    ],
    ids=lambda cell: cell["name"],
)
def test_models(cell, monkeypatch):
    torch.manual_seed(2)
    if cell["name"] == "stack":
        cell["cells"] = [{"name": name, "hidden_size": 5} for name in cell["cells"]]
    else:
        cell["hidden_size"] = 5
    model = models.build(
        {"name": "language_model", "embedding": {"name": "learned", "size": 3}, "cell": cell},
        vocab_size=VOCAB,
    )
    prompts = Prompts(torch.tensor([[1, 4, 2]]), torch.tensor([3]))
    with evaluating(model):
        stepper = WithoutTokens(model.stepper(100), [0, 1])
        start = model.start(prompts)
        (slow, _), (fast, _) = both("multinomial", stepper, start, Limits(100), monkeypatch)
        text = compiled_text(
            lambda tokens, state: stepper.step(tokens, state, None),
            start.tokens, start.state, Choice(1.0, seed=5),
        )  # fmt: skip
    assert text is not None
    assert fast.tokens == slow.tokens
    assert fast.log_probs == pytest.approx(slow.log_probs, abs=1e-5)


def by_values(tokens, state):
    return torch.zeros(len(tokens), VOCAB) + float(state.sum() > 0), state


def in_whole_numbers(tokens, state):
    return torch.zeros(len(tokens), VOCAB), state.long().cumsum(1).float()


@pytest.mark.parametrize("step", [by_values, in_whole_numbers], ids=["values", "no loop"])
def test_what_cannot_be_compiled_is_refused(step):
    assert compiled_text(step, torch.tensor([0]), torch.ones(1, 2), Choice(1.0)) is None


def test_a_walk_gives_a_token_at_a_time(table, monkeypatch):
    monkeypatch.setattr(PathDecoder, "compiled_from", 1)
    decoder = decoders.build("multinomial", seed=5, vocab_size=VOCAB, encode=None, load=None)
    start, limits = Start(torch.tensor([0]), None), Limits(100)
    steps = [*decoder.walk(table, start, limits)]
    assert [len(each.tokens) for each in steps] == [1] * 100
    whole = decoder.decode(table, start, limits)[0][0]
    assert [int(each.tokens) for each in steps] == [*whole.tokens]
