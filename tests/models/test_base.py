"""The contract of models: what one need not write."""

import torch

from seqgen.models import Loss, Model, Score


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
