"""The laws of attentions: every registered one keeps them, and broken ones are found out."""

import pytest
import torch
from torch import nn

from seqgen.attentions import Attention, ScoredAttention, attentions
from seqgen.testing import check_attention
from seqgen.testing.attention import ATTENTION_LAWS


@pytest.mark.parametrize("name", attentions.names())
def test_every_registered_attention_keeps_them(name, small):
    report = check_attention(small(attentions, name))
    report.require()
    not_tried = [each.law for each in report.findings if each.outcome == "not tried"]
    assert not_tried == ["it looks where it says so"] * (name == "none")


class Plain(ScoredAttention):
    """The products of queries and memory."""


class Unmasked(Plain):
    def _weights(self, queries, keys, mask):
        return torch.softmax(self.scores(queries, keys), -1)


class MaskedTooLate(Plain):
    def _weights(self, queries, keys, mask):
        scores = self.scores(queries, keys).exp()
        weights = scores / scores.sum(-1, keepdim=True)
        return weights.masked_fill(~mask.unsqueeze(1), 0)


class NotANumber(Plain):
    def _weights(self, queries, keys, mask):
        scores = self.scores(queries, keys).masked_fill(~mask.unsqueeze(1), -torch.inf)
        return torch.softmax(scores, -1)


class Negative(Plain):
    def _weights(self, queries, keys, mask):
        return torch.tanh(self.scores(queries, keys)) * mask.unsqueeze(1)


class OverTheQueries(Plain):
    def scores(self, queries, keys):
        scores = super().scores(queries, keys)
        return scores * queries.mean(1, keepdim=True).norm(dim=2, keepdim=True)


class OverTheBatch(Plain):
    def scores(self, queries, keys):
        return super().scores(queries, keys) * keys.norm()


class SeesPadding(Plain):
    def scores(self, queries, keys):
        return super().scores(queries, keys) * keys.norm(dim=(1, 2), keepdim=True)


class OtherInASearch(Plain):
    def look(self, queries, keys, values, mask):
        read, weights = super().look(queries, keys, values, mask)
        return read / 2, weights


class Shapeless(Plain):
    def keys(self, memory):
        return memory.sum(1)


class OnlyWhatIsRead(Plain):
    def forward(self, queries, keys, memory, mask):
        return super().forward(queries, keys, memory, mask)[0]


class Detached(Plain):
    def forward(self, queries, keys, memory, mask):
        return super().forward(queries, keys, memory.detach(), mask)

    def scores(self, queries, keys):
        return super().scores(queries, keys.detach())


class LooksAway(Plain):
    looks = False


class ReadsNothing(Attention):
    def __init__(self, query_size):
        super().__init__()
        self.output_size = query_size

    def forward(self, queries, keys, memory, mask):
        weights = mask / mask.sum(1, keepdim=True).clamp(min=1)
        return queries + 0 * memory.sum(), weights.unsqueeze(1).expand(-1, queries.shape[1], -1)


SHAPES, SHARES = "shapes are as declared", "weights are shares of the real tokens"


@pytest.mark.parametrize(
    ("attention", "law", "says"),
    [
        (Unmasked, SHARES, "weights must be zero where there is no token"),
        (MaskedTooLate, SHARES, "must sum to 1 over its tokens"),
        (Negative, SHARES, "a weight is below 0; end with a softmax"),
        (LooksAway, SHARES, "says `looks = False`"),
        (NotANumber, SHAPES, "has NaN where a source is empty"),
        (Shapeless, SHAPES, "`keys` must be a tensor of [4, 5] and more"),
        (OnlyWhatIsRead, SHAPES, "must return what is read and the weights, not a tensor"),
        (OverTheQueries, "each query is answered by itself", "the queries around it"),
        (OverTheBatch, "a row alone is the row in a batch", "the sources around it"),
        (SeesPadding, "padding does not matter", "mask the scores before the softmax"),
        (OtherInASearch, "in a search it gives the same", "`look` with `values` must give"),
        (Detached, "gradients reach every parameter", "no gradient reaches what it reads"),
        (ReadsNothing, "it looks where it says so", "another memory changes nothing"),
        (nn.Bilinear, "is an attention", "TypeError"),
    ],
)
def test_a_breach_is_reported_for_what_it_is(attention, law, says):
    report = check_attention(attention)
    found = {each.law: each for each in report.findings}
    assert found[law].outcome == "broken", report.broken
    assert says in found[law].says
    assert len(report.findings) == len(ATTENTION_LAWS)


def test_classes_will_do():
    check_attention(Plain).require()
