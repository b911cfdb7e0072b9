"""The head `mixture_of_softmaxes`: several softmaxes, weighted by context."""

import torch

from seqgen.heads import MixtureOfSoftmaxesHead
from seqgen.heads import losses as heads_losses

VOCAB, INPUT = 9, 3


def make(**options):
    torch.manual_seed(1)
    return MixtureOfSoftmaxesHead(INPUT, VOCAB, **options)


def test_is_the_weighted_sum_of_softmaxes():
    head, hidden = make(mixtures=2, bottleneck=4), torch.randn(5, INPUT)
    weights = head.weigh(hidden).softmax(-1)
    inner = head.spread(hidden).tanh().view(5, 2, 4)
    wanted = sum(weights[:, k, None] * head.project(inner[:, k]).softmax(-1) for k in range(2))
    torch.testing.assert_close(head.log_probs(hidden).exp(), wanted)


def test_one_mixture_is_a_softmax():
    head, hidden = make(mixtures=1), torch.randn(5, INPUT)
    wanted = head.project(head.spread(hidden).tanh()).log_softmax(-1)
    torch.testing.assert_close(head.log_probs(hidden), wanted)


def test_exceeds_the_rank_of_one_softmax():
    def rank(mixtures):
        head = make(mixtures=mixtures).double()
        with torch.no_grad():
            head.spread.weight.mul_(10)
            head.weigh.weight.mul_(10)
        return int(torch.linalg.matrix_rank(head.log_probs(4 * torch.randn(50, INPUT).double())))

    assert rank(1) <= INPUT + 2 < rank(4)


def test_many_logits_give_the_same(monkeypatch):
    head, hidden = make(), torch.randn(7, INPUT)
    targets = torch.randint(VOCAB, (7,))
    found = []
    for limit in (heads_losses.ALL_AT_ONCE, 0):
        monkeypatch.setattr(heads_losses, "ALL_AT_ONCE", limit)
        monkeypatch.setattr(heads_losses, "CHUNK", 2 * VOCAB * 4)
        losses = head.loss(hidden, targets)
        found.append((losses, torch.autograd.grad(losses.mean(), list(head.parameters()))))
    torch.testing.assert_close(*found)
