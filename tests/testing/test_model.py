"""The laws of models: every registered one keeps them, and broken ones are found out."""

import pytest
import torch
from torch import nn

from seqgen.cells import LSTM
from seqgen.heads import LinearHead
from seqgen.models import LanguageModel, Loss, Model, models
from seqgen.state import batch_size_of
from seqgen.testing import check_model
from seqgen.testing.model import MODEL_LAWS


@pytest.mark.parametrize("name", models.names())
def test_every_registered_model_keeps_them(name, small):
    report = check_model(small(models, name))
    report.require()
    not_tried = [each.law for each in report.findings if each.outcome == "not tried"]
    carries = name == "language_model"
    assert not_tried == ([] if carries else ["the state goes on from batch to batch"])


def cell(input_size):
    return LSTM(input_size, 4)


class Plain(LanguageModel):
    """A language model; a subclass changes something."""

    def __init__(self, vocab_size):
        super().__init__(vocab_size, cell)


class MeanLoss(Plain):
    def loss(self, batch, state=None):
        found = super().loss(batch, state)
        return found._replace(total=found.total / found.tokens)


class NoSum(Plain):
    def loss(self, batch, state=None):
        found = super().loss(batch, state)
        return found._replace(total=found.total.unsqueeze(0))


class CountsPadding(Plain):
    def loss(self, batch, state=None):
        return super().loss(batch, state)._replace(tokens=batch.targets.numel())


class LossOfPadding(Plain):
    def loss(self, batch, state=None):
        hidden, state = self._read(batch.inputs, state, None)
        return Loss(self.head.loss(hidden, batch.targets).sum(), batch.tokens, state)

    def score(self, batch, state=None):
        found = super().score(batch, state)
        total = self.loss(batch, state).total
        return found._replace(nats=found.nats * total / found.nats.sum())


class ScoresPadding(Plain):
    def score(self, batch, state=None):
        found = super().score(batch, state)
        return found._replace(predicted=found.predicted + 1)


class OtherChoice(Plain):
    def score(self, batch, state=None):
        found = super().score(batch, state)
        return found._replace(correct=~found.correct & (found.nats > 0))


class OtherStep(Plain):
    def step(self, tokens, state, context):
        log_probs, state = super().step(tokens, state, context)
        return (2 * log_probs).log_softmax(-1), state


class Logits(Plain):
    def step(self, tokens, state, context):
        log_probs, state = super().step(tokens, state, context)
        return log_probs + 1, state


class ForgetsTheState(Plain):
    def loss(self, batch, state=None):
        return super().loss(batch, None)


class BatchSecond(Plain):
    def start(self, batch):
        found = super().start(batch)
        return found._replace(state=(found.state, torch.zeros(1, len(found.tokens))))

    def step(self, tokens, state, context):
        log_probs, after = super().step(tokens, state[0], context)
        return log_probs, (after, state[1])


class StateInItself(Plain):
    """What was read last is kept in the model."""

    last = None

    def start(self, batch):
        self.last = None
        return super().start(batch)

    def step(self, tokens, state, context):
        if batch_size_of(self.last) == len(tokens):
            state = self.last
        log_probs, self.last = super().step(tokens, state, context)
        return log_probs, self.last


class OverTheBatch(Plain):
    def step(self, tokens, state, context):
        log_probs, state = super().step(tokens, state, context)
        return log_probs, state

    def start(self, batch):
        found = super().start(batch)
        self.many = len(found.tokens) != 4
        return found._replace(tokens=(found.tokens + self.many) % 11)


class SumsOverTheBatch(Plain):
    def loss(self, batch, state=None):
        found = super().loss(batch, state)
        return found._replace(total=found.total * len(batch.targets))

    def score(self, batch, state=None):
        found = super().score(batch, state)
        return found._replace(nats=found.nats * len(batch.targets))


class Unused(Plain):
    def __init__(self, vocab_size):
        super().__init__(vocab_size)
        self.extra = LinearHead(3, vocab_size)


class NoStep(Model):
    def __init__(self, vocab_size):
        super().__init__()
        self.inner = Plain(vocab_size)

    def loss(self, batch, state=None):
        return self.inner.loss(batch)

    def score(self, batch, state=None):
        return self.inner.score(batch)


FORM, SCORE, STEP = "loss and score are as declared", "the score is the loss", MODEL_LAWS[12].name
STATES = "rows of a state may be reordered"


@pytest.mark.parametrize(
    ("model", "law", "says"),
    [
        (NoSum, FORM, "the total of `loss` must be [], but is [1]; sum it"),
        (CountsPadding, FORM, "counts 24 targets, but the batch has 14 real ones"),
        (MeanLoss, SCORE, "must add up to the total of `loss`, which is a sum"),
        (ScoresPadding, SCORE, "`predicted` of `score` must be zero after the end of a row"),
        (OtherChoice, SCORE, "must say where `predicted` is the target"),
        (SumsOverTheBatch, "the loss is a sum over rows", "each of them alone"),
        (LossOfPadding, "padding does not matter", "look at `lengths`"),
        (ForgetsTheState, "the state goes on from batch to batch", "two halves"),
        (OtherStep, STEP, "step 1 gives targets other log-probabilities than `score`"),
        (Logits, STEP, "probabilities must sum to 1"),
        (BatchSecond, STATES, "must have one batch size, but has [1, 4]"),
        (StateInItself, STATES, "the state must be a value"),
        (OverTheBatch, "a row alone is the row in a batch", "depend on the rows around it"),
        (Unused, "gradients reach every parameter", "no gradient reaches extra.project"),
        (nn.Bilinear, "is a model", "TypeError"),
    ],
)
def test_a_breach_is_reported_for_what_it_is(model, law, says):
    report = check_model(model)
    found = {each.law: each for each in report.findings}
    assert found[law].outcome == "broken", report.broken
    assert says in found[law].says
    assert len(report.findings) == len(MODEL_LAWS)


def test_a_stepper_that_is_another_model_is_found_out():
    class Other(Plain):
        def stepper(self, tokens):
            torch.manual_seed(7)
            return Plain(11).eval()

    found = {each.law: each for each in check_model(Other).findings}
    assert "`stepper(1)` takes other steps" in found["a prepared stepper is the model"].says


def test_classes_will_do_and_need_not_generate():
    check_model(Plain).require()
    report = check_model(NoStep)
    report.require()
    assert [each.outcome for each in report.findings].count("not tried") == 5
