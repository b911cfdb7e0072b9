"""The laws of heads, for every registered one."""

import io

import pytest
import torch

from seqgen.embeddings import LearnedEmbedding, OneHot
from seqgen.heads import Head, heads

VOCAB, INPUT = 7, 5
EMBEDDINGS = {
    "as wide": lambda: LearnedEmbedding(VOCAB, INPUT),
    "wider": lambda: LearnedEmbedding(VOCAB, INPUT + 3),
    "fixed": lambda: OneHot(VOCAB),
}


@pytest.fixture(params=heads.names())
def name(request):
    return request.param


@pytest.fixture(params=EMBEDDINGS)
def head(request, name, make):
    return make(name, INPUT, EMBEDDINGS[request.param]())


def test_is_a_head(head):
    assert isinstance(head, Head)


@pytest.mark.parametrize("shape", [(), (4,), (2, 3), (2, 0), (0,), (2, 3, 4)])
def test_the_loss_is_what_the_log_probabilities_say(head, shape):
    hidden, targets = torch.randn(*shape, INPUT), torch.randint(VOCAB, shape)
    log_probs = head.log_probs(hidden)
    assert log_probs.shape == (*shape, VOCAB)
    wanted = -log_probs.gather(-1, targets.unsqueeze(-1)).squeeze(-1)
    torch.testing.assert_close(head.loss(hidden, targets), wanted, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("scale", [0.0, 1.0, 1e3])
def test_probabilities_sum_to_one(head, scale):
    log_probs = head.log_probs(scale * torch.randn(50, INPUT))
    torch.testing.assert_close(log_probs.exp().sum(-1), torch.ones(50), atol=1e-5, rtol=0)
    assert (log_probs <= 0).all()


def test_scores_are_float32_at_least(head):
    """Log-probabilities of many tokens are added up, so half precision will not do."""
    hidden, targets = torch.randn(4, INPUT), torch.randint(VOCAB, (4,))
    with torch.autocast("cpu", torch.bfloat16):
        assert head.log_probs(hidden).dtype == torch.float32
        assert head.loss(hidden, targets).dtype == torch.float32


def test_gradients_reach_every_parameter(head):
    head.loss(torch.randn(20, INPUT), torch.randint(VOCAB, (20,))).sum().backward()
    assert [name for name, each in head.named_parameters() if each.grad is None] == []
    assert all(each.grad.any() for each in head.parameters())


def test_both_ways_have_the_same_gradient(head):
    hidden, targets = torch.randn(20, INPUT), torch.randint(VOCAB, (20,))
    found = []
    for nats in (
        head.loss(hidden, targets),
        -head.log_probs(hidden).gather(-1, targets.unsqueeze(-1)),
    ):
        head.zero_grad()
        nats.sum().backward()
        found.append([each.grad.clone() for each in head.parameters()])
    torch.testing.assert_close(*found, atol=1e-5, rtol=1e-4)


def test_is_saved_and_loaded(name, make):
    stored, head, other = io.BytesIO(), make(name), make(name)
    with torch.no_grad():
        for each in head.parameters():
            each.add_(torch.randn_like(each))
    torch.save(head.state_dict(), stored)
    stored.seek(0)
    other.load_state_dict(torch.load(stored, weights_only=True))
    hidden = torch.randn(4, INPUT)
    assert torch.equal(other.log_probs(hidden), head.log_probs(hidden))
