"""Scoring: nats, hits and first choices by a head whose probabilities are written out."""

import pytest
import torch

from seqgen.heads import Head
from seqgen.models.scoring import SCORED_AT_ONCE, scored


class Chances(Head):
    """Reads log-probabilities off what it is given."""

    def log_probs(self, hidden):
        self.moments = max(getattr(self, "moments", 0), hidden.shape[1])
        return hidden

    def loss(self, hidden, targets):
        raise NotImplementedError


@pytest.fixture
def head():
    return Chances()


def test_nats_hits_and_first_choices(head):
    chances = torch.tensor([[[0.5, 0.25, 0.25], [0.25, 0.25, 0.5]]]).expand(2, 2, 3)
    targets = torch.tensor([[0, 1], [1, 2]])
    score = scored(head, chances.log(), targets, torch.tensor([2, 1]), (None,))
    torch.testing.assert_close(score.nats, torch.tensor([[2.0, 4.0], [4.0, 1.0]]).log())
    assert score.correct.tolist() == [[True, False], [False, False]]
    assert score.predicted.tolist() == [[0, 2], [0, 0]]
    assert score.state == (None,)


@pytest.mark.parametrize("time", [0, 1, SCORED_AT_ONCE, 2 * SCORED_AT_ONCE + 1])
def test_a_few_moments_at_a_time_are_all_moments(head, time):
    log_probs = torch.randn(2, time, 4).log_softmax(-1)
    targets = torch.randint(4, (2, time))
    score = scored(head, log_probs, targets, None)
    assert head.moments <= SCORED_AT_ONCE
    assert torch.equal(score.nats, -log_probs.gather(2, targets.unsqueeze(2)).squeeze(2))
    assert torch.equal(score.predicted, log_probs.argmax(2))
    assert torch.equal(score.correct, log_probs.argmax(2) == targets)
