"""The contract of models, and the laws of those that learn from pairs of a source and a target."""

import pytest
import torch

from seqgen.heads import Head
from seqgen.models import Loss, Model, Score
from seqgen.models.base import SCORED_AT_ONCE, mask_padding, scored
from seqgen.state import real

CLOSE = {"rtol": 1e-5, "atol": 1e-5}


class Constant(Model):
    """The least that a model can be: it gives each of two tokens the same chance."""

    def loss(self, batch, state=None):
        return Loss(batch.numel() * torch.tensor(2.0).log(), batch.numel(), None)

    def score(self, batch, state=None):
        nats = torch.full(batch.shape, 2.0).log()
        return Score(nats, batch == 0, torch.zeros_like(batch), None)


def test_what_a_model_need_not_write():
    model, batch = Constant(), torch.tensor([[0, 1], [1, 1]])
    assert model.initial_state(3) is None
    model.initialise({})
    model.advance(0.5)
    assert model.floats == torch.float32
    torch.testing.assert_close(model.loss(batch).total, model.score(batch).nats.sum())


def gradients(model, batch):
    model.zero_grad()
    model.loss(batch).total.backward()
    return [each.grad.clone() for each in model.parameters()]


class TestModelsOfPairs:
    def test_the_loss_is_the_sum_of_scored_nats(self, pair_model, batch_for):
        batch = batch_for(pair_model)
        loss, score = pair_model.loss(batch), pair_model.score(batch)
        torch.testing.assert_close(loss.total, score.nats.sum(), **CLOSE)
        assert loss.tokens == int(batch.lengths.sum())
        assert loss.state is score.state is None
        assert {each.shape for each in score[:3]} == {batch.targets.shape}
        mask = real(batch.lengths, batch.targets.shape[1])
        assert not any(each[~mask].any() for each in score[:3])
        assert (score.nats[mask] > 0).all()
        assert torch.equal(score.correct[mask], (score.predicted == batch.targets)[mask])

    def test_a_row_has_what_it_has_alone(self, pair_model, batch_for, take):
        batch = batch_for(pair_model)
        score, looked = pair_model.score(batch), pair_model.attention_weights(batch)
        for row, length in enumerate(batch.lengths.tolist()):
            one = take(batch, [row])
            alone = pair_model.score(one)
            torch.testing.assert_close(alone.nats[0], score.nats[row, :length], **CLOSE)
            assert torch.equal(alone.predicted[0], score.predicted[row, :length])
            nats = score.nats[row].sum()
            torch.testing.assert_close(pair_model.loss(one).total, nats, **CLOSE)
            if looked is not None:
                weights = pair_model.attention_weights(one)[0]
                together = looked[row, :length, : weights.shape[1]]
                torch.testing.assert_close(weights, together, **CLOSE)

    def test_padding_does_not_matter_and_all_else_learns(
        self, pair_model, batch_for, other_padding
    ):
        batch, found = batch_for(pair_model), []
        for each in (batch, other_padding(batch)):
            found.append([*pair_model.score(each)[:3], *gradients(pair_model, each)])
        torch.testing.assert_close(*found, rtol=0, atol=0)
        assert all(gradient.any() for gradient in found[0][3:])
        # Nothing but padding has the last word.
        parameters = dict(pair_model.named_parameters())
        table = parameters.get("encoder.vectors.embedding.weight")
        assert table is None or not table.grad[-1].any()

    def test_each_step_gives_what_is_scored(self, pair_model, batch_for):
        batch = batch_for(pair_model)
        score = pair_model.score(batch)
        tokens, state, context, names = pair_model.start(batch.sources)
        assert torch.equal(tokens, batch.inputs[:, 0])
        assert names is None
        for t, targets in enumerate(batch.targets.unbind(1)):
            log_probs, state = pair_model.step(tokens, state, context)
            torch.testing.assert_close(log_probs.exp().sum(1), torch.ones(5))
            nats = -log_probs.gather(1, targets.unsqueeze(1)).squeeze(1)
            mask = batch.lengths > t
            torch.testing.assert_close(nats[mask], score.nats[mask, t], **CLOSE)
            tokens = targets

    @pytest.mark.parametrize("rows", [0, 1, 2])
    def test_sources_without_tokens(self, pair_model, batch_for, rows):
        batch = batch_for(pair_model, (0,) * rows)
        loss, score = pair_model.loss(batch), pair_model.score(batch)
        looked = pair_model.attention_weights(batch)
        looked = score.nats if looked is None else looked
        assert loss.tokens == int(batch.lengths.sum())
        assert score.nats.shape == looked.shape[:2] == batch.targets.shape
        log_probs, _ = pair_model.step(*pair_model.start(batch.sources)[:3])
        assert len(log_probs) == rows
        found = [loss.total, score.nats, looked, log_probs]
        if loss.tokens:
            found += torch.autograd.grad(loss.total, pair_model.parameters(), allow_unused=True)
        assert all(each.isfinite().all() for each in found if each is not None)


LENGTHS = torch.tensor([0, 2, 3])


@pytest.mark.parametrize("value", [1.0, True, 7])
def test_zeros_stand_after_each_length(value):
    found = mask_padding(torch.full((3, 3), value), LENGTHS)
    assert found.tolist() == [[0, 0, 0], [value, value, 0], [value] * 3]


def test_without_lengths_all_counts():
    values = torch.ones(2, 3)
    assert mask_padding(values, None) is values


def test_nothing_flows_back_from_padding_not_even_nan():
    values = torch.tensor([[1.0, float("nan")], [float("inf"), 2.0]], requires_grad=True)
    total = mask_padding(values, torch.tensor([1, 0])).sum()
    total.backward()
    assert total.item() == 1
    assert values.grad.tolist() == [[1, 0], [0, 0]]


class Chances(Head):
    """Reads log-probabilities off what it is given."""

    def log_probs(self, hidden):
        self.steps = max(getattr(self, "steps", 0), hidden.shape[1])
        return hidden

    def loss(self, hidden, targets):
        raise NotImplementedError


def test_nats_hits_and_first_choices():
    chances = torch.tensor([[[0.5, 0.25, 0.25], [0.25, 0.25, 0.5]]]).expand(2, 2, 3)
    targets = torch.tensor([[0, 1], [1, 2]])
    score = scored(Chances(), chances.log(), targets, torch.tensor([2, 1]), (None,))
    torch.testing.assert_close(score.nats, torch.tensor([[2.0, 4.0], [4.0, 1.0]]).log())
    assert score.correct.tolist() == [[True, False], [False, False]]
    assert score.predicted.tolist() == [[0, 2], [0, 0]]
    assert score.state == (None,)


@pytest.mark.parametrize("time", [0, 1, SCORED_AT_ONCE, 2 * SCORED_AT_ONCE + 1])
def test_a_few_steps_at_a_time_are_all_steps(time):
    head, log_probs = Chances(), torch.randn(2, time, 4).log_softmax(-1)
    targets = torch.randint(4, (2, time))
    score = scored(head, log_probs, targets, None)
    assert head.steps <= SCORED_AT_ONCE
    assert torch.equal(score.nats, -log_probs.gather(2, targets.unsqueeze(2)).squeeze(2))
    assert torch.equal(score.predicted, log_probs.argmax(2))
    assert torch.equal(score.correct, log_probs.argmax(2) == targets)
