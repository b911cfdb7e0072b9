"""The head `adaptive_softmax`: a shortlist, and clusters of rare tokens."""

import pytest
import torch
from torch import nn

from seqgen.heads import AdaptiveSoftmaxHead
from seqgen.heads.adaptive_softmax import default_cutoffs

VOCAB, INPUT = 9, 8


def test_equals_the_layer_of_torch():
    torch.manual_seed(1)
    head = AdaptiveSoftmaxHead(INPUT, VOCAB, [2, 5], div_value=2)
    other = nn.AdaptiveLogSoftmaxWithLoss(INPUT, VOCAB, [2, 5], div_value=2, head_bias=True)
    other.head.load_state_dict(head.shortlist.state_dict())
    other.tail.load_state_dict(head.clusters.state_dict())
    hidden, targets = torch.randn(30, INPUT), torch.randint(VOCAB, (30,))
    torch.testing.assert_close(head.log_probs(hidden), other.log_prob(hidden))
    torch.testing.assert_close(head.loss(hidden, targets), -other(hidden, targets).output)


def test_only_the_clusters_of_the_targets_learn():
    head = AdaptiveSoftmaxHead(INPUT, VOCAB, [2, 5])
    head.loss(torch.randn(6, INPUT), torch.tensor([0, 1, 2, 3, 4, 2])).sum().backward()
    assert head.clusters[0][1].weight.grad.any()
    assert not head.clusters[1][1].weight.grad.any()


@pytest.mark.parametrize("vocab_size", [1, 2, 65])
def test_a_small_vocabulary_is_a_plain_softmax(vocab_size):
    head = AdaptiveSoftmaxHead(INPUT, vocab_size)
    hidden, targets = torch.randn(4, INPUT), torch.randint(vocab_size, (4,))
    assert not list(head.clusters)
    torch.testing.assert_close(head.log_probs(hidden), head.shortlist(hidden).log_softmax(-1))
    assert head.loss(hidden, targets).shape == (4,)


def test_every_token_has_one_place():
    assert default_cutoffs(33278) == [2079, 8319]
    head = AdaptiveSoftmaxHead(INPUT, 1000)
    hidden = torch.randn(1000, INPUT)
    wanted = -head.log_probs(hidden).diagonal()
    torch.testing.assert_close(head.loss(hidden, torch.arange(1000)), wanted)


@pytest.mark.parametrize("cutoffs", [[3, 2], [2, 2], [9], [2, 10]])
def test_cutoffs_must_rise_below_the_size(cutoffs):
    with pytest.raises(ValueError, match=r"`cutoffs` must rise and be below 9, .* but are"):
        AdaptiveSoftmaxHead(INPUT, VOCAB, cutoffs)
