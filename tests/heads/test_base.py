"""Every head with every kind of embedding, beyond the laws of heads; the plain softmaxes."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from seqgen.cells import cells
from seqgen.data import TokenBatch
from seqgen.embeddings import LearnedEmbedding, OneHot
from seqgen.heads import AdaptiveSoftmaxHead, LinearHead, MixtureOfSoftmaxesHead, TiedHead, heads
from seqgen.heads import losses as heads_losses
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


VOCAB, INPUT = 9, 8


class TestAdaptiveSoftmax:
    def test_equals_the_layer_of_torch(self):
        torch.manual_seed(1)
        head = AdaptiveSoftmaxHead(INPUT, VOCAB, [2, 5], div_value=2)
        other = nn.AdaptiveLogSoftmaxWithLoss(INPUT, VOCAB, [2, 5], div_value=2, head_bias=True)
        other.head.load_state_dict(head.shortlist.state_dict())
        other.tail.load_state_dict(head.clusters.state_dict())
        hidden, targets = torch.randn(30, INPUT), torch.randint(VOCAB, (30,))
        torch.testing.assert_close(head.log_probs(hidden), other.log_prob(hidden))
        torch.testing.assert_close(head.loss(hidden, targets), -other(hidden, targets).output)

    def test_only_the_clusters_of_the_targets_learn(self):
        head = AdaptiveSoftmaxHead(INPUT, VOCAB, [2, 5])
        head.loss(torch.randn(6, INPUT), torch.tensor([0, 1, 2, 3, 4, 2])).sum().backward()
        assert head.clusters[0][1].weight.grad.any()
        assert not head.clusters[1][1].weight.grad.any()

    @pytest.mark.parametrize("vocab_size", [1, 2, 65])
    def test_a_small_vocabulary_is_a_plain_softmax(self, vocab_size):
        head = AdaptiveSoftmaxHead(INPUT, vocab_size)
        hidden, targets = torch.randn(4, INPUT), torch.randint(vocab_size, (4,))
        assert not list(head.clusters)
        torch.testing.assert_close(head.log_probs(hidden), head.shortlist(hidden).log_softmax(-1))
        assert head.loss(hidden, targets).shape == (4,)

    def test_every_token_has_one_place(self):
        assert AdaptiveSoftmaxHead(2, 33278).ends == [2079, 8319, 33278]
        head, hidden = AdaptiveSoftmaxHead(INPUT, 1000), torch.randn(1000, INPUT)
        wanted = -head.log_probs(hidden).diagonal()
        torch.testing.assert_close(head.loss(hidden, torch.arange(1000)), wanted)

    @pytest.mark.parametrize("cutoffs", [[3, 2], [2, 2], [9], [2, 10], [0, 3]])
    def test_cutoffs_must_rise_below_the_size(self, cutoffs):
        assert AdaptiveSoftmaxHead(INPUT, VOCAB, [1, 8]).ends == [1, 8, 9]
        with pytest.raises(ValueError, match=r"`cutoffs` must rise and be below 9, .* but are"):
            AdaptiveSoftmaxHead(INPUT, VOCAB, cutoffs)


class TestMixture:
    @staticmethod
    def make(**options):
        torch.manual_seed(1)
        return MixtureOfSoftmaxesHead(3, VOCAB, **options)

    @pytest.mark.parametrize("mixtures", [1, 2])
    def test_is_the_weighted_sum_of_softmaxes(self, mixtures):
        head, hidden = self.make(mixtures=mixtures, bottleneck=4), torch.randn(5, 3)
        weights = head.weigh(hidden).softmax(-1)
        inner = head.spread(hidden).tanh().view(5, mixtures, 4)
        own = (weights[:, k, None] * head.project(inner[:, k]).softmax(-1) for k in range(mixtures))
        torch.testing.assert_close(head.log_probs(hidden).exp(), sum(own))

    def test_many_logits_give_the_same(self, monkeypatch):
        head, hidden, targets = self.make(), torch.randn(7, 3), torch.randint(VOCAB, (7,))
        found = []
        for limit in (heads_losses.ALL_AT_ONCE, 0):
            monkeypatch.setattr(heads_losses, "ALL_AT_ONCE", limit)
            monkeypatch.setattr(heads_losses, "CHUNK", 2 * VOCAB * 4)
            losses = head.loss(hidden, targets)
            found.append((losses, torch.autograd.grad(losses.mean(), list(head.parameters()))))
        torch.testing.assert_close(*found)


SMOOTHING = 0.2
HEADS = {
    "adaptive": lambda **how: AdaptiveSoftmaxHead(INPUT, VOCAB, [2, 5], div_value=2, **how),
    "mixture": lambda **how: MixtureOfSoftmaxesHead(INPUT, VOCAB, mixtures=3, **how),
}


class TestSmoothing:
    """By their log-probabilities, as no part of the softmax is left out then."""

    @pytest.fixture(params=HEADS)
    def make(self, request):
        torch.manual_seed(1)
        return HEADS[request.param]

    @pytest.fixture
    def head(self, make):
        return make(label_smoothing=SMOOTHING)

    @pytest.fixture
    def many(self, monkeypatch):
        """As if the log-probabilities of a few rows were too many, and those of three a chunk."""
        monkeypatch.setattr(heads_losses, "ALL_AT_ONCE", 0)
        monkeypatch.setattr(heads_losses, "CHUNK", 3 * VOCAB * 4)

    @staticmethod
    def plain(head, hidden, targets):
        """The formula as it is written."""
        log_probs = head.log_probs(hidden)
        of_target = log_probs.gather(-1, targets.unsqueeze(-1)).squeeze(-1)
        return -(1 - SMOOTHING) * of_target - SMOOTHING / VOCAB * log_probs.sum(-1)

    @staticmethod
    def nats(head, hidden, targets):
        return -head.log_probs(hidden).gather(-1, targets.unsqueeze(-1)).squeeze(-1)

    @pytest.mark.parametrize("shape", [(), (4,), (2, 5), (2, 0), (0,), (2, 3, 2)])
    @pytest.mark.parametrize("amount", ["few", "many"])
    def test_is_the_plain_formula(self, head, shape, amount, request):
        if amount == "many":
            request.getfixturevalue("many")
        hidden, targets = torch.randn(*shape, INPUT), torch.randint(VOCAB, shape)
        losses = head.loss(hidden, targets)
        assert losses.shape == shape
        torch.testing.assert_close(losses, self.plain(head, hidden, targets))

    @pytest.mark.usefixtures("many")
    def test_many_have_the_gradients_of_the_plain_formula(self, head):
        head.double()
        leaves = [torch.randn(10, INPUT).double().requires_grad_(), *head.parameters()]
        targets, counts = torch.randint(VOCAB, (10,)), torch.rand(10).double()
        found = torch.autograd.grad(head.loss(leaves[0], targets) @ counts, leaves)
        wanted = torch.autograd.grad(self.plain(head, leaves[0], targets) @ counts, leaves)
        torch.testing.assert_close(found, wanted)

    @pytest.mark.usefixtures("many")
    def test_log_probabilities_are_never_there_for_all_rows(self, head, monkeypatch):
        rows, kept, log_probs = [], [], head.log_probs

        def counted(hidden):
            rows.append(len(hidden))
            return log_probs(hidden)

        def keep(tensor):
            kept.append(tensor.shape)
            return tensor

        monkeypatch.setattr(head, "log_probs", counted)
        hidden = torch.randn(10, INPUT, requires_grad=True)
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            losses = head.loss(hidden, torch.randint(VOCAB, (10,)))
        assert sum(rows) == 10
        losses.sum().backward()
        assert max(rows) <= 3, "in both passes"
        assert sum(rows) == 20, "each chunk twice"
        assert not [each for each in kept if VOCAB in each], "nothing of it waits for backward"

    def test_evaluation_is_not_smoothed_nor_is_training_without_it(self, head, make, monkeypatch):
        hidden, targets = torch.randn(6, INPUT), torch.randint(VOCAB, (6,))
        wanted = self.nats(head, hidden, targets)
        torch.testing.assert_close(head.eval().loss(hidden, targets), wanted)
        assert not torch.allclose(head.train().loss(hidden, targets), wanted)
        other = make()
        wanted = self.nats(other, hidden, targets)
        monkeypatch.setattr(other, "log_probs", None)
        torch.testing.assert_close(other.loss(hidden, targets), wanted)

    @pytest.mark.usefixtures("many")
    @pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
    def test_without_gradients(self, head, mode):
        hidden, targets = torch.randn(7, INPUT), torch.randint(VOCAB, (7,))
        wanted = self.plain(head, hidden, targets).detach()
        with mode():
            torch.testing.assert_close(head.loss(hidden, targets), wanted)

    @pytest.mark.usefixtures("many")
    def test_in_autocast(self, head):
        hidden, targets = torch.randn(7, INPUT), torch.randint(VOCAB, (7,))
        wanted = self.plain(head, hidden, targets)
        with torch.autocast("cpu", torch.bfloat16):
            losses = head.loss(hidden, targets)
        losses.sum().backward()
        assert losses.dtype == torch.float32
        torch.testing.assert_close(losses, wanted, atol=0.05, rtol=0.05)
        assert all(each.grad.any() for each in head.parameters())


LARGE = 1100  # times 256 weights are enough to pack


@pytest.mark.parametrize("vocab", [VOCAB, LARGE])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("name", heads.names())
def test_what_is_prepared_for_a_search_has_the_same_log_probs(name, dtype, vocab, small):
    torch.manual_seed(1)
    table = LearnedEmbedding(vocab, 256).to(dtype).table
    sizes = {"input_size": 256, "vocab_size": vocab, "table": table}
    head = heads.build(small(heads, name), **sizes).to(dtype).eval()
    with torch.inference_mode():
        log_probs = head.prepared()
        for shape in ((0,), (1,), (5,), (40,), (2, 3)):
            hidden = torch.randn(*shape, 256, dtype=dtype)
            found, wanted = log_probs(hidden), head.log_probs(hidden)
            torch.testing.assert_close(found, wanted, atol=1e-4, rtol=1e-5)


@pytest.mark.parametrize("bias", [True, False])
def test_prepared_with_and_without_a_bias(bias):
    torch.manual_seed(1)
    head, hidden = LinearHead(256, LARGE, bias), torch.randn(3, 256)
    with torch.inference_mode():
        found = head.prepared()(hidden)
        torch.testing.assert_close(found, head.log_probs(hidden), atol=1e-5, rtol=1e-5)
        assert head.prepared()(hidden * torch.nan).isnan().all()
