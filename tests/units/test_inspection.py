"""Inspection: states, units that follow properties, p-values that hold, ablation by hand."""

import json
import random

import numpy as np
import pytest
import torch
from torch import nn

from seqgen.cells import Cell, cells
from seqgen.models import models
from seqgen.tokenizers import BOS, ByteTokenizer, CharTokenizer, tokenizers
from seqgen.units import PROPERTIES, Passage, inspect
from seqgen.units.inspection import ablate, associations, read_states, unit_names

MOST = 10_000


def made_text(lines, seed=1):
    """Lines of words, some in brackets, as no cell expects them."""
    draw = random.Random(seed)

    def word():
        letters = "".join(draw.choices("abcdeE", k=draw.randint(1, 7)))
        return f"({letters})" if draw.random() < 0.3 else letters

    return "".join(" ".join(word() for _ in range(draw.randint(1, 9))) + "\n" for _ in range(lines))


TEXT = made_text(60)
TOKENIZER = CharTokenizer()
TOKENIZER.fit([TEXT])


@pytest.fixture
def model(small):
    """A function from the spec of a cell to a language model with large random weights."""

    def build(cell, embedding="learned"):
        torch.manual_seed(1)
        spec = {"name": "language_model", "cell": cell, "embedding": embedding}
        built = models.build(spec, vocab_size=len(TOKENIZER)).eval()
        for each in built.parameters():
            each.data.mul_(2)
        return built

    return build


@pytest.fixture
def counting(own_registries):
    """A cell whose state is, noisily, in this order: the depth of brackets, the position in the
    line, and a random walk of three numbers."""

    @cells.register("counting")
    class Counting(Cell):
        def __init__(self, input_size: int) -> None:
            super().__init__()
            self.output_size = 5
            self.weight = nn.Parameter(torch.zeros(1))

        def initial_state(self, batch_size):
            return torch.zeros(batch_size, 5)

        def step(self, x, state):
            opens, closes, ends = (
                x[:, TOKENIZER.encode(char)[0], None] for char in ("(", ")", "\n")
            )
            depth, place, noise = state.split([1, 1, 3], 1)
            noise = torch.frac(noise * 71.3 + x.argmax(1, keepdim=True) * 0.377 + 0.123)
            following = torch.cat([depth + opens - closes, (place + 1) * (1 - ends), noise], 1)
            return following, following

    return "counting"


def passage_of(text, tokenizer=TOKENIZER, by_lines=False, most=MOST):
    return Passage.of(text, tokenizer, by_lines, most)


def test_a_planted_unit_is_found_by_what_it_follows(model, counting):
    found = inspect(model(counting, "one_hot"), passage_of(TEXT))
    best = {each.property: each for each in reversed(found.followers)}
    assert best["inside round brackets"].unit == best["depth of brackets"].unit == 0
    assert best["depth of brackets"].r == pytest.approx(1)
    assert best["position in the line"].unit == 1
    assert best["position in the line"].r > 0.7  # it is 1 ahead, and counts no line ends
    assert max(best["depth of brackets"].p, best["position in the line"].p) < 0.005
    assert [abs(each.r) for each in found.followers] == sorted(
        (abs(each.r) for each in found.followers), reverse=True
    )
    assert "inside braces" not in found.properties
    assert found.activations.shape == (len(TEXT), 5)
    assert found.correlations.shape == (5, len(found.properties))
    assert json.loads(json.dumps(found.figures()))["units"] == 5


def test_a_shuffled_unit_is_not_found(model, counting):
    states, _ = read_states(model(counting, "one_hot"), passage_of(TEXT).rows)
    depth = PROPERTIES["depth of brackets"](TEXT)[:, None]
    r, p = associations(states, depth)
    assert (float(r[0, 0]), p[0, 0] < 0.001) == (pytest.approx(1), True)
    shuffled = states[torch.randperm(len(states), generator=torch.Generator().manual_seed(1))]
    assert associations(shuffled, depth)[1].min() > 0.05


def test_false_positives_are_as_rare_as_p_says():
    """Noise that changes slowly, 4 units and all properties at once: one search in 20 may err."""
    text = made_text(45, seed=3)
    values = np.stack([each(text) for each in PROPERTIES.values()], 1)
    draw, wrong = np.random.default_rng(1), 0
    for trial in range(200):
        keep = (0.0, 0.5, 0.9, 0.97)[trial % 4]
        noise = draw.standard_normal((len(text), 4)).astype(np.float32)
        for step in range(1, len(noise)):
            noise[step] += keep * noise[step - 1]
        _, p = associations(torch.from_numpy(noise), values)
        wrong += bool(p.min() < 0.05)
    assert wrong <= 200 * 0.05 + 2 * (200 * 0.05 * 0.95) ** 0.5


@pytest.mark.parametrize("tokens", [1, 2, 3, 4095, 4097, 9000])
def test_correlations_are_those_of_numpy(tokens):
    draw = np.random.default_rng(tokens)
    states = draw.standard_normal((tokens, 70)).astype(np.float32)
    states[:, 3] = 2.5  # does not vary
    values = draw.standard_normal((tokens, 2)) + states[:, :2]
    r, p = associations(torch.from_numpy(states), values)
    assert p.min() > 0
    assert p.max() <= 1
    assert not r[3].any()
    if tokens > 3:
        apart = -(-tokens // 4096)
        used = tokens // apart * apart  # what shifts can be made of
        varying = np.delete(states, 3, 1)[:used]
        exact = np.corrcoef(varying.T, values[:used].T)[:69, 69:]
        assert np.delete(r.numpy(), 3, 0) == pytest.approx(exact, abs=1e-5)


def test_nothing_to_search():
    for states, values in (
        (torch.zeros(0, 3), np.zeros((0, 2))),
        (torch.ones(5, 3), np.zeros((5, 0))),
    ):
        r, p = associations(states, values)
        assert r.shape == p.shape == (3, values.shape[1])


def test_ablation_is_the_loss_with_the_unit_held(model):
    built = model({"name": "rnn_cell", "hidden_size": 4})
    rows, units = passage_of(TEXT[:40]).rows, [2, 0]
    with torch.inference_mode():
        means = torch.tensor([0.25, -0.5])
        found = ablate(built, rows, units, means)
        for column, unit in enumerate([None, *units]):
            state, nats = torch.zeros(1, 4), []
            for before, target in zip([BOS, *rows[0]], rows[0], strict=False):
                if unit is not None:
                    state[0, unit] = means[column - 1]
                output, state = built.cell.step_input(
                    built.embedding(torch.tensor([before])), state
                )
                nats.append(-float(built.head.log_probs(output)[0, target]))
            assert found[:, column].tolist() == pytest.approx(nats, abs=1e-5)
    assert found.sum(0).unique().numel() == 3


@pytest.mark.parametrize("name", cells.names())
def test_any_cell_is_inspected(name, model, small):
    built = model(small(cells, name))
    found = inspect(built, passage_of(TEXT[:300]))
    assert found.activations.shape == (300, built.cell.summary_size) == (300, len(found.names))
    assert np.isfinite(found.activations).all()
    if name != "slstm":  # of which a summary leaves the scale out
        assert found.ablated_nats_per_token == pytest.approx(found.nats_per_token, abs=1e-5)
    held = {each.nats_per_token for each in found.followers}
    assert len(held) > 1
    assert all(map(np.isfinite, held))


@pytest.mark.parametrize(
    ("cell", "names"),
    [
        ({"name": "rnn_cell", "hidden_size": 2}, ("unit 0", "unit 1")),
        ({"name": "lstm", "hidden_size": 1}, ("hidden 0", "memory 0")),
        (
            {"name": "stack", "cells": [{"name": "gru", "hidden_size": 1}] * 2},
            ("1 0", "2 0"),
        ),
        ({"name": "slstm", "hidden_size": 1, "heads": 1}, ("unit 0", "unit 1")),
        (
            {"name": "variational_dropout", "cell": {"name": "lstm", "hidden_size": 1}},
            ("cell hidden 0", "cell memory 0"),
        ),
    ],
    ids=["rnn_cell", "lstm", "stack", "slstm", "variational_dropout"],
)
def test_a_unit_has_a_name(cell, names):
    assert unit_names(cells.build(cell, input_size=2)) == names


def pieces_of(passage):
    return [each for each, _ in passage.pieces]


def test_tokens_that_are_no_characters():
    by_bytes = passage_of("aé\nb", ByteTokenizer())
    assert by_bytes.ends == [0, 1, 1, 2, 3]
    assert list(by_bytes.pieces) == [("a", 0), ("é", 2), ("\n", 3), ("b", 4)]
    word = tokenizers.build({"name": "word"})
    word.fit(["the cat sat"])
    by_words = passage_of("the cat\n sat ", word)
    assert by_words.ends == [2, 6, 11]
    assert pieces_of(by_words) == ["the", " cat", "\n sat"]
    assert passage_of("the cat", word, most=1).text == "the"


def test_lines_are_texts_of_their_own():
    passage = passage_of("ab\n\nc", by_lines=True)
    assert [len(each) for each in passage.rows] == [2, 1]
    assert passage.ends == [0, 1, 4]
    assert pieces_of(passage) == ["a", "b", "\n\nc"]
    assert passage_of("ab\ncd", by_lines=True, most=3).text == "ab\nc"
    assert passage_of("", by_lines=True) == ("", [], [])


def test_a_tokenizer_that_does_not_know_its_places():
    class Silent(CharTokenizer):
        def spans(self, text):
            return None

    with pytest.raises(ValueError, match="does not know the places"):
        passage_of("ab", Silent())


def test_lines_begin_with_the_initial_state(model):
    built = model({"name": "lstm", "hidden_size": 3})
    with torch.inference_mode():
        lines, _ = read_states(built, passage_of("ab\nab", by_lines=True).rows)
        whole, nats = read_states(built, passage_of("ab\nab").rows)
    assert torch.equal(lines[:2], lines[2:])
    assert torch.allclose(lines[:2], whole[:2], atol=1e-6)
    assert not torch.allclose(lines[2:], whole[3:], atol=1e-3)
    assert nats.min() > 0
