"""A shortlist with clusters of rare tokens, a mixture of softmaxes, and how both are smoothed."""

import pytest
import torch
from torch import nn

from seqgen.heads import AdaptiveSoftmaxHead, MixtureOfSoftmaxesHead
from seqgen.heads import losses as heads_losses

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
