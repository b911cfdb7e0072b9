"""The laws of embeddings: every registered one keeps them, and broken ones are found out."""

import pytest
import torch
from torch import nn

from seqgen.embeddings import Embedding, LearnedEmbedding, embeddings
from seqgen.testing import check_embedding
from seqgen.testing.embedding import EMBEDDING_LAWS


@pytest.mark.parametrize("name", embeddings.names())
def test_every_registered_embedding_keeps_them(name, small, place):
    place.write("vectors.txt", "the 1 2 3 4 5 6\n")
    report = check_embedding(small(embeddings, name))
    report.require()
    not_tried = {each.law for each in report.findings if each.outcome == "not tried"}
    assert not_tried == ({"gradients reach every parameter"} if name == "one_hot" else set())


class Plain(Embedding):
    """Vectors that are learned; a subclass changes something."""

    def __init__(self, vocab_size):
        super().__init__()
        self.output_size = 4
        self.weight = nn.Parameter(torch.randn(vocab_size, 4))

    def table(self):
        return self.weight


class OtherVectors(Plain):
    def forward(self, tokens):
        return 2 * super().forward(tokens)


class KeepsACopy(Plain):
    def __init__(self, vocab_size):
        super().__init__(vocab_size)
        self.register_buffer("copy", self.weight.detach().clone())

    def table(self):
        return self.copy + 0 * self.weight

    def forward(self, tokens):
        return nn.functional.embedding(tokens, self.weight)


class Detached(Plain):
    def table(self):
        return self.weight.detach()


class Noisy(Plain):
    def table(self):
        return self.weight + torch.randn(1) * self.training

    def forward(self, tokens):
        return super().forward(tokens) + 1e-6 * torch.randn(1)


class ByPlace(Plain):
    def forward(self, tokens):
        found = super().forward(tokens)
        return found + torch.arange(found.shape[0]).view(-1, *[1] * (found.dim() - 1))


class WrongSize(Plain):
    def __init__(self, vocab_size):
        super().__init__(vocab_size)
        self.output_size = 5


class NoSize(Plain):
    def __init__(self, vocab_size):
        super().__init__(vocab_size)
        self.output_size = None


class PlainList(Plain):
    def __init__(self, vocab_size):
        super().__init__(vocab_size)
        self.more = [torch.randn(vocab_size, 4)]

    def table(self):
        return self.weight + self.more[0]


class Infinite(Plain):
    def table(self):
        return self.weight / 0


class Unused(Plain):
    def __init__(self, vocab_size):
        super().__init__(vocab_size)
        self.extra = nn.Parameter(torch.ones(2))


ROWS, TABLE = "vectors are rows of the table", "it has a table"
LEARNS = "gradients reach every parameter"


@pytest.mark.parametrize(
    ("embedding", "law", "says"),
    [
        (OtherVectors, ROWS, "must return the rows of `table()`"),
        (KeepsACopy, "the table is the same after training", "keep no copy"),
        (Detached, LEARNS, "no gradient comes back"),
        (Unused, LEARNS, "no gradient reaches extra"),
        (Noisy, "the same twice in evaluation mode", "draw nothing there"),
        (ByPlace, "a token alone is the token in a batch", "depends on its place"),
        (WrongSize, TABLE, "`table()` must be [11, 5], but is [11, 4]"),
        (NoSize, TABLE, "`output_size` must be a number, but is None"),
        (Infinite, TABLE, "`table()` has infinite numbers in a new run"),
        (PlainList, "what it learns is registered", "call self.register_buffer"),
        (nn.Embedding, "is an embedding", "TypeError"),
        (lambda vocab_size: nn.Embedding(vocab_size, 4), "is an embedding", "no Embedding"),
    ],
)
def test_a_breach_is_reported_for_what_it_is(embedding, law, says):
    report = check_embedding(embedding)
    found = {each.law: each for each in report.findings}
    assert found[law].outcome == "broken", report.broken
    assert says in found[law].says
    assert len(report.findings) == len(EMBEDDING_LAWS)


def test_classes_will_do():
    check_embedding(Plain).require()
    check_embedding(LearnedEmbedding, size=3).require()
