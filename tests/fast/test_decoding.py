"""Compiled texts are those that the decoders choose step by step."""

from __future__ import annotations

import pytest
import torch

from seqgen.data import Prompts
from seqgen.decoders import Limits, Start, WithoutTokens, decoders, truncations
from seqgen.decoders.sampling import PathDecoder
from seqgen.decoders.truncating import compiled_form
from seqgen.errors import DecodeError
from seqgen.fast import TRUNCATIONS, Choice, compiled_text
from seqgen.models import evaluating, models

pytest.importorskip("numba", reason="texts are compiled by numba")
from seqgen.fast import draws, kernels

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


CUTS = [
    *({"name": "top_k", "k": k} for k in (1, 3, VOCAB)),
    *({"name": "top_p", "p": p} for p in (0.01, 0.7, 1.0)),
    *({"name": "min_p", "p": p} for p in (0.0, 0.3, 1.0)),
    *({"name": "typical", "p": p} for p in (0.01, 0.5, 1.0)),
    *({"name": "epsilon", "epsilon": each} for each in (0.0, 0.1, 1.0)),
    *({"name": "eta", "epsilon": each} for each in (0.0, 0.1, 1.0)),
    {"name": "eta", "epsilon": 0.3, "alpha": 0.5},
    *({"name": "top_n_sigma", "n": n} for n in (0.0, 0.7, 2.0)),
]


def test_every_truncation_is_tried():
    assert {each["name"] for each in CUTS} == {*TRUNCATIONS} == {*truncations.names()}


@pytest.mark.parametrize("cut", CUTS, ids=lambda cut: " ".join(map(str, cut.values())))
def test_a_compiled_truncation_keeps_what_the_part_keeps(cut):
    part = truncations.build(cut, vocab_size=VOCAB)
    torch.manual_seed(1)
    scores = torch.randn(60, VOCAB, dtype=torch.float64) * torch.linspace(0, 5, 60).unsqueeze(1)
    scores[::2] = scores[::2].round()  # ties
    scores[::3, [0, 4]] = -torch.inf
    shares = scores.softmax(1)
    wanted = part.keep(shares.clone())
    name, numbers = compiled_form(part)
    for row in shares:
        draws.truncate(row.numpy(), TRUNCATIONS.index(name), *(*numbers, 0.0, 0.0)[:2])
    assert torch.equal(shares, wanted)


@pytest.mark.parametrize("temperature", [0.0, 1e-4, 0.6, 1.0, 50.0, torch.inf])
@pytest.mark.parametrize(
    ("names", "last"),
    [
        ([], False),
        (["top_k"], False),
        (["top_p", "top_k", "min_p"], False),
        ([], True),
        (["typical", "epsilon"], True),
    ],
    ids=str,
)
def test_samplers(names, last, temperature, table, monkeypatch):
    cuts = [next(each for each in CUTS[1:] if each["name"] == name) for name in names]
    spec = {"name": "multinomial", "truncations": cuts}
    spec |= {"temperature": temperature, "temperature_last": last}
    start, limits = Start(torch.tensor([0]), None), Limits(300)
    (slow, steps), (fast, asked) = both(spec, table, start, limits, monkeypatch)
    assert steps == 300
    assert asked < 10
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
            start.tokens, start.state, Choice(1.0),
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
