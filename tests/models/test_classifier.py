"""The model `classifier`: what it reads of a source, and the lectures' two ways to feed it."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from seqgen.cells import GRU
from seqgen.data.batches import Sources
from seqgen.encoders import Recurrent
from seqgen.models import Classifier, models
from seqgen.options import OptionError
from seqgen.tokenizers.facts import Facts

LABELS = 6


def build(source, cell="lstm", **options):
    torch.manual_seed(1)
    encoder = {
        "name": "recurrent",
        "cell": {"name": cell, "hidden_size": 5},
        "embedding": {"size": 3},
    }
    spec = {"name": "classifier", "encoder": encoder, **options}
    return models.build(spec, vocab_size=LABELS, source=source).eval()


def log_probs_of(model, sources):
    return model.start(sources).context[:, 0]


def test_last_is_what_the_cell_remembers_at_the_end_of_each_row(source, sources):
    model, here = build(source), sources()
    summary = model.encoder(here).summary
    assert model.head.project.in_features == 10
    wanted = model.head.project(summary).log_softmax(1)
    torch.testing.assert_close(log_probs_of(model, here), wanted)


@pytest.mark.parametrize("pooling", ["mean", "max"])
def test_mean_and_maximum_are_of_the_tokens_alone(source, sources, pooling):
    model, here = build(source, pooling=pooling), sources()
    memory = model.encoder(here).memory
    assert model.head.project.in_features == 5
    found = model.positions(here)[:, 0]
    for row, length in enumerate(here.lengths.tolist()):
        own = memory[row, :length]
        if not length:
            wanted = torch.zeros(5)
        else:
            wanted = own.mean(0) if pooling == "mean" else own.max(0).values
        torch.testing.assert_close(found[row], wanted)


def test_an_lstm_fed_at_once_is_one_fed_step_by_step(source, sources, pairs):
    """The lectures have both, `nn.LSTM` over the sequence and `nn.LSTMCell` in a loop over time."""
    at_once, by_step = build(source, "lstm"), build(source, "lstm_cell")
    names = [name for name, _ in at_once.named_parameters()]
    with torch.no_grad():
        for to, of in zip(by_step.parameters(), at_once.parameters(), strict=True):
            assert to.shape == of.shape
            to.copy_(of)
    batch = pairs(sources(), True)
    losses = [model.loss(batch).total for model in (at_once, by_step)]
    torch.testing.assert_close(*losses, rtol=1e-6, atol=1e-6)
    found = [log_probs_of(model, batch.sources) for model in (at_once, by_step)]
    torch.testing.assert_close(*found, rtol=0, atol=1e-6)
    gradients = [
        torch.autograd.grad(*each)
        for each in zip(losses, ([*at_once.parameters()], [*by_step.parameters()]), strict=True)
    ]
    for name, one, other in zip(names, *gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6, msg=name)


def test_a_label_or_a_vector_can_be_classified_too(source, pairs, sources):
    by_label = models.build(
        {"name": "classifier", "encoder": "label"}, vocab_size=LABELS, source=source
    )
    assert by_label.score(pairs(sources(), True)).nats.shape == (5, 1)
    by_vector = models.build(
        {"name": "classifier", "encoder": "vector"}, vocab_size=LABELS, source={"vector_size": 3}
    )
    vectors = Sources(torch.randn(5, 3), torch.ones(5, dtype=torch.long))
    batch = pairs(sources(), True)
    assert by_vector.score(
        type(batch)(vectors, batch.inputs, batch.targets, batch.lengths, batch.numbers)
    ).nats.all()


@pytest.mark.parametrize("pooling", ["mean", "max"])
def test_without_outputs_there_is_nothing_to_pool(source, pooling):
    spec = {"name": "classifier", "encoder": "label", "pooling": pooling}
    with pytest.raises(OptionError, match="`pooling` must be last for an encoder without outputs"):
        models.build(spec, vocab_size=LABELS, source=source)


def test_a_head_that_shares_a_table_has_none_here(source):
    with pytest.raises(OptionError, match="head 'tied' needs a `table`"):
        build(source, head="tied")


def test_takes_classes_and_partials_as_well_as_parts_of_recipes(source, sources):
    encoder = partial(Recurrent, cell=partial(GRU, hidden_size=4))
    model = Classifier(LABELS, source, encoder)
    assert log_probs_of(model, sources()).shape == (5, LABELS)


def test_rare_classes_weigh_more_where_that_is_wanted(source, sources, pairs):
    """Of 4 and 16 rows: with a balance of 1/2 they count 2 to 1, and 1 in the mean of all rows."""
    counts = np.array([0, 0, 0, 0, 4, 16])
    facts = {"target": Facts(("",) * LABELS, counts), "source": Facts(("",) * 9)}
    batch = pairs(sources(), True)
    batch = replace(batch, targets=torch.full_like(batch.targets, 4))
    models = [build(source, balance=balance) for balance in (0.0, 0.5)]
    for model in models:
        model.initialise(facts)
    plain, weighed = (model.train().loss(batch).total for model in models)
    torch.testing.assert_close(weighed / plain, torch.tensor(20 / (4 * 2 + 16) * 2))
    scores = [model.eval().score(batch).nats for model in models]
    torch.testing.assert_close(*scores)
    losses = [model.loss(batch).total for model in models]
    torch.testing.assert_close(*losses)
