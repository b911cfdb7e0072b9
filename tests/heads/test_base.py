"""Every head with every kind of embedding, beyond the laws of heads; the plain softmaxes."""

import copy

import numpy as np
import pytest
import torch

from seqgen.cells import cells
from seqgen.data import TokenBatch
from seqgen.embeddings import LearnedEmbedding, OneHot
from seqgen.heads import LinearHead, TiedHead, heads
from seqgen.heads.base import unigram_log_probs
from seqgen.models import models
from seqgen.tokenizers import Facts

VOCAB, SIZE = 7, 5
EMBEDDINGS = {
    "as wide": lambda: LearnedEmbedding(VOCAB, SIZE),
    "wider": lambda: LearnedEmbedding(VOCAB, SIZE + 3),
    "fixed": lambda: OneHot(VOCAB),
}


@pytest.mark.parametrize("name", heads.names())
@pytest.mark.parametrize("embedding", EMBEDDINGS.values(), ids=EMBEDDINGS)
def test_any_head_goes_with_any_embedding(name, embedding, small):
    torch.manual_seed(1)
    sizes = {"input_size": SIZE, "vocab_size": VOCAB, "table": embedding().table}
    head = heads.build(small(heads, name), **sizes)
    hidden, targets = torch.randn(2, 30, SIZE), torch.randint(VOCAB, (2, 30))
    log_probs = head.log_probs(hidden)
    torch.testing.assert_close(log_probs.exp().sum(-1), torch.ones(2, 30), atol=1e-5, rtol=0)
    wanted = -log_probs.gather(-1, targets.unsqueeze(-1)).squeeze(-1)
    losses = head.loss(hidden, targets)
    torch.testing.assert_close(losses, wanted, atol=1e-5, rtol=1e-5)
    parameters = list(head.parameters())
    found, other = (torch.autograd.grad(each.sum(), parameters) for each in (losses, wanted))
    torch.testing.assert_close(found, other, atol=1e-5, rtol=1e-4)
    assert all(each.any() for each in found)


def facts(*counts):
    return Facts(tuple("abcd"[: len(counts)]), np.array(counts))


class TestUnigrams:
    def test_a_token_never_seen_is_rare_but_possible(self):
        shares = unigram_log_probs(facts(0, 8)).exp()
        torch.testing.assert_close(shares, torch.tensor([0.1, 0.9], dtype=torch.float64))

    def test_counts_are_needed(self):
        with pytest.raises(ValueError, match="`unigram_bias` needs counts of tokens"):
            unigram_log_probs(Facts(("a", "b")))

    def test_a_head_may_start_there(self):
        head = LinearHead(3, 4, unigram_bias=True)
        head.initialise(facts(0, 5, 1, 6))
        shares = head.log_probs(torch.zeros(3)).exp()
        torch.testing.assert_close(shares, torch.tensor([1, 6, 2, 7]) / 16)

    @pytest.mark.parametrize("make", [LinearHead, lambda *sizes: TiedHead(4, 4, OneHot(4).table)])
    def test_it_starts_as_drawn_where_nothing_else_is_wanted(self, make):
        head = make(3, 4)
        before = {name: each.clone() for name, each in head.state_dict().items()}
        head.initialise(facts(0, 5, 1, 6))
        assert all(torch.equal(each, before[name]) for name, each in head.state_dict().items())

    def test_they_need_a_bias(self):
        with pytest.raises(ValueError, match="`unigram_bias` needs `bias`, but that is false"):
            LinearHead(3, 4, bias=False, unigram_bias=True)


@pytest.mark.parametrize("bias", [True, False])
def test_linear_is_an_affine_map_and_a_softmax(bias):
    head, hidden = LinearHead(3, 5, bias=bias), torch.randn(4, 3)
    logits = hidden @ head.project.weight.T
    if bias:
        logits = logits + head.project.bias
    assert (head.project.bias is not None) == bias
    torch.testing.assert_close(head.log_probs(hidden), logits.log_softmax(-1))


def test_smoothing_is_for_training_only():
    torch.manual_seed(1)
    head, hidden, targets = (
        LinearHead(3, 5, label_smoothing=0.1),
        torch.randn(4, 3),
        torch.arange(4),
    )
    log_probs = head.log_probs(hidden)
    nats = -log_probs[torch.arange(4), targets]
    torch.testing.assert_close(head.loss(hidden, targets), 0.9 * nats - 0.1 * log_probs.mean(-1))
    torch.testing.assert_close(head.eval().loss(hidden, targets), nats)


class TestTied:
    @staticmethod
    def model(hidden_size):
        torch.manual_seed(1)
        spec = {
            "name": "language_model",
            "cell": cells.check({"name": "lstm", "hidden_size": hidden_size}),
            "head": "tied",
            "embedding": {"name": "learned", "size": SIZE},
        }
        return models.build(spec, vocab_size=VOCAB)

    def test_shares_the_very_parameter(self):
        made = self.model(SIZE)
        assert made.head.table() is made.embedding.weight
        weights = [name for name, each in made.named_parameters() if each.shape == (VOCAB, SIZE)]
        assert weights == ["embedding.weight"]
        assert [name for name in made.state_dict() if "head" in name] == ["head.bias"]

    def test_the_gradient_is_the_sum_of_both_uses(self):
        batch = TokenBatch(*torch.randint(VOCAB, (2, 3, 4), generator=torch.manual_seed(2)))
        made, apart = self.model(SIZE), self.model(SIZE)
        other = LearnedEmbedding(VOCAB, SIZE)
        other.load_state_dict(apart.embedding.state_dict())
        apart.head.table = other.table
        for each in (made, apart):
            each.loss(batch).total.backward()
        reading, writing = apart.embedding.weight.grad, other.weight.grad
        assert reading.any()
        assert writing.any()
        torch.testing.assert_close(made.embedding.weight.grad, reading + writing)

    def test_projects_only_where_sizes_differ(self):
        assert not list(self.model(SIZE).head.project.parameters())
        [weight] = self.model(SIZE + 2).head.project.parameters()
        assert weight.shape == (SIZE, SIZE + 2)

    def test_the_logits_are_products_with_the_table(self):
        head = self.model(SIZE + 2).head
        with torch.no_grad():
            head.bias.normal_()
        hidden = torch.randn(3, SIZE + 2)
        logits = hidden @ head.project.weight.T @ head.table().T + head.bias
        torch.testing.assert_close(head.log_probs(hidden), logits.log_softmax(-1))

    def test_a_fixed_table_is_not_learned_and_not_saved(self):
        embedding = OneHot(VOCAB)
        head = TiedHead(VOCAB, VOCAB, embedding.table)
        assert [name for name, _ in head.named_parameters()] == ["bias"]
        assert list(head.state_dict()) == ["bias"]
        hidden = torch.randn(3, VOCAB)
        torch.testing.assert_close(head.log_probs(hidden), hidden.log_softmax(-1))

    def test_stays_tied_when_loaded_moved_and_copied(self):
        one, other = self.model(SIZE), self.model(SIZE)
        with torch.no_grad():
            one.embedding.weight.add_(1)
        other.load_state_dict(one.state_dict())
        for each in (other, copy.deepcopy(other), copy.deepcopy(other).double()):
            assert each.head.table() is each.embedding.weight
            torch.testing.assert_close(each.embedding.weight.float(), one.embedding.weight)
        assert copy.deepcopy(other).head.table() is not other.head.table()

    def test_smoothing_and_unigrams_are_those_of_linear(self):
        head = TiedHead(3, 3, OneHot(3).table, label_smoothing=0.1, unigram_bias=True)
        head.initialise(facts(0, 5, 1))
        log_probs = head.log_probs(torch.zeros(3))
        torch.testing.assert_close(log_probs.exp(), torch.tensor([1, 6, 2]) / 9)
        wanted = -0.9 * log_probs[1] - 0.1 * log_probs.mean()
        torch.testing.assert_close(head.loss(torch.zeros(3), torch.tensor(1)), wanted)
