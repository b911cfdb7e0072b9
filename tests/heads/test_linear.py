"""The head `linear`: an affine map with weights of its own."""

import numpy as np
import pytest
import torch

from seqgen.heads import LinearHead
from seqgen.tokenizers.facts import Facts


@pytest.mark.parametrize("bias", [True, False])
def test_is_an_affine_map_and_a_softmax(bias):
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


def test_may_start_at_the_unigram_frequencies():
    head = LinearHead(3, 4, unigram_bias=True)
    head.initialise(Facts(("a", "b", "c", "d"), np.array([0, 5, 1, 6])))
    shares = head.log_probs(torch.zeros(3)).exp()
    torch.testing.assert_close(shares, torch.tensor([1, 6, 2, 7]) / 16)


def test_starts_as_drawn_where_nothing_else_is_wanted():
    head = LinearHead(3, 4)
    before = head.project.bias.detach().clone()
    head.initialise(Facts(("a", "b", "c", "d"), np.array([0, 5, 1, 6])))
    assert torch.equal(head.project.bias, before)


def test_unigrams_need_a_bias():
    with pytest.raises(ValueError, match="`unigram_bias` needs `bias`, but that is false"):
        LinearHead(3, 4, bias=False, unigram_bias=True)
