"""The laws of heads: every registered head keeps them, and broken ones are found out."""

import pytest
import torch
from torch import nn

from seqgen.heads import Head, LinearHead, heads
from seqgen.testing import check_head
from seqgen.testing.head import HEAD_LAWS


@pytest.mark.parametrize("name", heads.names())
def test_every_registered_head_keeps_them(name, small):
    check_head(small(heads, name)).require()


class Plain(Head):
    """Nothing is wrong with this one."""

    def __init__(self, input_size, vocab_size):
        super().__init__()
        self.map = nn.Linear(input_size, vocab_size)

    def log_probs(self, hidden):
        return self.map(hidden).float().log_softmax(-1)

    def loss(self, hidden, targets):
        return -self.log_probs(hidden).gather(-1, targets.unsqueeze(-1)).squeeze(-1)


class Logits(Plain):
    def log_probs(self, hidden):
        return self.map(hidden)


class OverTheBatch(Plain):
    def log_probs(self, hidden):
        return self.map(hidden - hidden.mean(0)).float().log_softmax(-1)


class MeanLoss(Plain):
    def loss(self, hidden, targets):
        return super().loss(hidden, targets).mean()


class OtherLoss(Plain):
    def loss(self, hidden, targets):
        return super().loss(hidden, targets) / 0.6931


class ListLoss(Plain):
    def loss(self, hidden, targets):
        return [super().loss(hidden, targets)]


class NotANumber(Plain):
    def loss(self, hidden, targets):
        return super().loss(hidden, targets) * (torch.nan if self.training else 1)


class Half(Plain):
    def log_probs(self, hidden):
        return self.map(hidden).log_softmax(-1).to(self.map(hidden).dtype)


class Detached(Plain):
    def loss(self, hidden, targets):
        return super().loss(hidden.detach(), targets)


class Noisy(Plain):
    def log_probs(self, hidden):
        return super().log_probs(hidden + torch.rand_like(hidden))


class Unused(Plain):
    def __init__(self, input_size, vocab_size):
        super().__init__(input_size, vocab_size)
        self.extra = nn.Parameter(torch.ones(2))


class Forgetful(Plain):
    def __init__(self, input_size, vocab_size):
        super().__init__(input_size, vocab_size)
        self.offset = [torch.randn(vocab_size)]

    def log_probs(self, hidden):
        return (self.map(hidden) + self.offset[0]).float().log_softmax(-1)


@pytest.mark.parametrize(
    ("head", "law", "says"),
    [
        (Logits, "probabilities sum to one", "end with `.log_softmax(-1)`"),
        (OverTheBatch, "a vector alone is the vector in a batch", "reduce over the last"),
        (MeanLoss, "shapes are as declared", "`loss` must be [4], but is []"),
        (ListLoss, "shapes are as declared", "`loss` must be a tensor of [4], but is a list"),
        (NotANumber, "gradients reach every parameter", "`loss` has NaN in training"),
        (OtherLoss, "loss is minus the log-probability", "in nats"),
        (Half, "scores are float32 under autocast", "call `.float()` on the logits"),
        (Detached, "gradients reach every parameter", "no gradient reaches the hidden vectors"),
        (Noisy, "the same twice in evaluation mode", "draw nothing there"),
        (Unused, "gradients reach every parameter", "no gradient reaches extra"),
        (Forgetful, "what it learns is registered", "call self.register_buffer"),
        (nn.Linear, "is a head", "TypeError"),
    ],
)
def test_a_breach_is_reported_for_what_it_is(head, law, says):
    report = check_head(head)
    found = {each.law: each for each in report.findings}
    assert found[law].outcome == "broken", report.broken
    assert says in found[law].says
    assert len(report.findings) == len(HEAD_LAWS)


def test_classes_will_do():
    check_head(Plain).require()
    check_head(LinearHead, bias=False).require()
