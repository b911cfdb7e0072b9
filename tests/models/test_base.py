"""The contract of models: what one need not write."""

import pytest
import torch

from seqgen.heads import Head
from seqgen.models import Loss, Model, Score
from seqgen.models.base import SCORED_AT_ONCE, real, scored


class Constant(Model):
    """The least that a model can be: it gives each of two tokens the same chance."""

    def loss(self, batch, state=None):
        return Loss(batch.numel() * torch.tensor(2.0).log(), batch.numel(), None)

    def score(self, batch, state=None):
        nats = torch.full(batch.shape, 2.0).log()
        return Score(nats, batch == 0, torch.zeros_like(batch), None)


def test_a_model_carries_nothing_unless_it_says_so():
    assert Constant().initial_state(3) is None


def test_loss_and_score_are_both_sums_of_nats():
    model, batch = Constant(), torch.tensor([[0, 1], [1, 1]])
    torch.testing.assert_close(model.loss(batch).total, model.score(batch).nats.sum())


def test_a_model_makes_nothing_of_facts_unless_it_says_so():
    Constant().initialise({})


# Masking: what is behind a row's length does not count, whatever it is.


LENGTHS = torch.tensor([0, 2, 3])


def test_zeros_stand_behind_each_length():
    found = real(torch.ones(3, 3), LENGTHS)
    assert found.tolist() == [[0, 0, 0], [1, 1, 0], [1, 1, 1]]


def test_hits_and_tokens_are_masked_as_nats_are():
    assert real(torch.ones(3, 3, dtype=torch.bool), LENGTHS).sum(1).tolist() == [0, 2, 3]
    assert real(torch.full((3, 3), 7), LENGTHS)[1].tolist() == [7, 7, 0]


def test_without_lengths_all_counts():
    values = torch.ones(2, 3)
    assert real(values, None) is values


def test_nothing_flows_back_from_padding_not_even_nan():
    values = torch.tensor([[1.0, float("nan")], [float("inf"), 2.0]], requires_grad=True)
    total = real(values, torch.tensor([1, 0])).sum()
    total.backward()
    assert total.item() == 1
    assert values.grad.tolist() == [[1, 0], [0, 0]]


# Scoring: nats, hits and first choices by a head whose probabilities are written out.


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
