"""The laws of encoders: every registered one keeps them, and broken ones are found out."""

import pytest
import torch
from torch import nn

from seqgen.encoders import Encoded, Encoder, encoders
from seqgen.state import real
from seqgen.testing import check_encoder
from seqgen.testing.encoder import ENCODER_LAWS

NOT_TRIED = {
    "label": {"the memory is zero after the end of a row"},
    "vector": {"the memory is zero after the end of a row", "padding does not matter"},
}


@pytest.mark.parametrize("name", encoders.names())
def test_every_registered_encoder_keeps_them(name, small):
    report = check_encoder(small(encoders, name))
    report.require()
    not_tried = {each.law for each in report.findings if each.outcome == "not tried"}
    assert not_tried == NOT_TRIED.get(name, set())


@pytest.mark.parametrize("name", ["recurrent", "bidirectional"])
def test_they_hold_with_letters(name, small):
    letters = small(encoders, "recurrent")
    check_encoder({**small(encoders, name), "letters": letters}).require()


class Bag(Encoder):
    """The mean of the vectors of all tokens, and the vectors."""

    def __init__(self, vocab_size):
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, 4)
        self.summary_size = self.memory_size = 4

    def forward(self, sources):
        mask = real(sources.lengths, sources.values.shape[1])
        return self.encoded(self.embedding(sources.values), mask, sources.lengths)

    def encoded(self, vectors, mask, lengths):
        memory = vectors * mask.unsqueeze(2)
        return Encoded(memory.sum(1) / lengths.clamp(min=1).unsqueeze(1), memory, mask)


class FullMemory(Bag):
    def encoded(self, vectors, mask, lengths):
        return super().encoded(vectors, mask, lengths)._replace(memory=vectors)


class FullMask(Bag):
    def encoded(self, vectors, mask, lengths):
        return super().encoded(vectors, mask, lengths)._replace(mask=torch.ones_like(mask))


class LastPlace(Bag):
    def encoded(self, vectors, mask, lengths):
        found = super().encoded(vectors, mask, lengths)
        last = vectors[:, -1:].sum(1) if vectors.shape[1] else found.summary
        return found._replace(summary=found.summary + last)


class EmptyIsNaN(Bag):
    def encoded(self, vectors, mask, lengths):
        found = super().encoded(vectors, mask, lengths)
        return found._replace(summary=found.memory.sum(1) / lengths.unsqueeze(1))


class OverTheBatch(Bag):
    def encoded(self, vectors, mask, lengths):
        found = super().encoded(vectors, mask, lengths)
        return found._replace(summary=found.summary - found.summary.mean(0))


class WrongSize(Bag):
    def __init__(self, vocab_size):
        super().__init__(vocab_size)
        self.summary_size = 8


class NumbersForAMask(Bag):
    def encoded(self, vectors, mask, lengths):
        return super().encoded(vectors, mask, lengths)._replace(mask=mask.float())


class OnlyASummary(Bag):
    def encoded(self, vectors, mask, lengths):
        return super().encoded(vectors, mask, lengths).summary


class ReadsNothing(Bag):
    def encoded(self, vectors, mask, lengths):
        return super().encoded(torch.ones_like(vectors) + 0 * vectors, mask, lengths)


class Noisy(Bag):
    def encoded(self, vectors, mask, lengths):
        return super().encoded(vectors + torch.rand(1), mask, lengths)


class Detached(Bag):
    def encoded(self, vectors, mask, lengths):
        return super().encoded(vectors.detach(), mask, lengths)


SHAPES, ZERO = "shapes are as declared", "the memory is zero after the end of a row"


@pytest.mark.parametrize(
    ("encoder", "law", "says"),
    [
        (FullMemory, ZERO, "the memory must be zero after the end"),
        (FullMask, ZERO, "the mask must be true at the tokens of a row"),
        (EmptyIsNaN, SHAPES, "has NaN for sources of [3, 0, 1, 6, 4] tokens"),
        (WrongSize, SHAPES, "the summary must be [5, 8], but is [5, 4]"),
        (NumbersForAMask, SHAPES, "the mask must be of bool"),
        (OnlyASummary, SHAPES, "must return Encoded(summary, memory, mask), not a tensor"),
        (LastPlace, "padding does not matter", "look at no more than `lengths` tokens"),
        (OverTheBatch, "a row alone is the row in a batch", "the sources around it"),
        (ReadsNothing, "the summary depends on the source", "read the sources"),
        (Noisy, "the same twice in evaluation mode", "draw nothing there"),
        (Detached, "gradients reach every parameter", "no gradient comes back"),
        (nn.Linear, "is an encoder", "TypeError"),
    ],
)
def test_a_breach_is_reported_for_what_it_is(encoder, law, says):
    report = check_encoder(encoder)
    found = {each.law: each for each in report.findings}
    assert found[law].outcome == "broken", report.broken
    assert says in found[law].says
    assert len(report.findings) == len(ENCODER_LAWS)


def test_classes_will_do():
    check_encoder(Bag).require()
