"""The laws of models that label: of each kind, with both encoders, several cells, and letters."""

import itertools
import math
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from seqgen.cells import GRU, cells
from seqgen.data import Sources
from seqgen.decoders import Beam, Greedy, Limits, decoders
from seqgen.encoders import Recurrent
from seqgen.errors import DataError
from seqgen.heads import heads
from seqgen.models import Classifier, Generative, models
from seqgen.options import OptionError
from seqgen.tokenizers import SPECIALS, Facts

LABELS = 6
KINDS = ("classifier", "tagger")
READERS = ("recurrent", "bidirectional")
LSTM = {"name": "lstm", "hidden_size": 4}


def reader(name, cell, **others):
    return {"name": name, "cell": cell, "embedding": {"size": 3}, **others}


SPELT = {
    f"{name} with letters": reader(name, LSTM, letters=reader("bidirectional", LSTM))
    for name in READERS
}
POOLED = {
    f"classifier of the {pooling}": {"name": "classifier", "pooling": pooling}
    for pooling in ("mean", "max")
}
# Of each family one; the laws of encoders are held with every cell.
SOME_CELLS = ("lstm", "lstm_cell", "gru", "min_gru", "slstm", "stack", "variational_dropout")
CASES = [
    *itertools.product(KINDS, READERS, SOME_CELLS),
    *itertools.product(KINDS, SPELT, [None]),
    *itertools.product(POOLED, READERS, ["gru"]),
    *itertools.product(POOLED, SPELT, [None]),
]


@pytest.fixture
def build(source):
    """A function from a kind and an encoder to one and the same model, in evaluation mode."""

    def make(kind, encoder, **options):
        torch.manual_seed(1)
        spec = {**POOLED.get(kind, {"name": kind}), "encoder": encoder, **options}
        return models.build(spec, vocab_size=LABELS, source=source).eval()

    return make


@pytest.fixture(params=CASES, ids=lambda case: ", ".join(filter(None, case)))
def model(request, build, small):
    kind, name, cell = request.param
    return build(kind, SPELT.get(name) or reader(name, small(cells, cell)))


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.fixture
def simple(kind, build):
    return build(kind, reader("bidirectional", LSTM))


@pytest.fixture
def batch_for(sources, pairs):
    """A function from a model and lengths to a batch."""

    def make(model, *of_sources):
        return pairs(sources(*of_sources), type(model).__name__ == "Classifier")

    return make


def test_the_loss_is_the_sum_of_scored_nats(model, batch_for):
    batch = batch_for(model)
    loss, score = model.loss(batch), model.score(batch)
    torch.testing.assert_close(loss.total, score.nats.sum(), rtol=1e-5, atol=1e-5)
    assert loss.tokens == int(batch.lengths.sum())
    assert loss.state is score.state is None
    assert score.nats.shape == batch.targets.shape
    assert torch.equal(
        score.correct.sum(), (score.predicted == batch.targets).sum() - padding(batch)
    )


def padding(batch):
    """How many targets are none, and so are as the predictions are there, 0."""
    return batch.targets.numel() - batch.lengths.sum()


def test_a_row_has_what_it_has_alone(model, batch_for, row_of):
    batch = batch_for(model)
    score, start = model.score(batch), model.start(batch.sources)
    for row, length in enumerate(batch.lengths.tolist()):
        one = row_of(batch, row)
        alone, begun = model.score(one), model.start(one.sources)
        close = {"rtol": 1e-5, "atol": 1e-6}
        torch.testing.assert_close(model.loss(one).total, score.nats[row].sum(), **close)
        torch.testing.assert_close(alone.nats[0], score.nats[row, :length], **close)
        assert torch.equal(alone.predicted[0], score.predicted[row, :length])
        assert not score.nats[row, length:].any()
        # One more than there are targets: what it is asked for behind the end is the same as well.
        torch.testing.assert_close(begun.context[0], start.context[row, : length + 1], **close)


def test_padding_does_not_matter_and_learns_nothing(model, batch_for, other_padding):
    batch, found = batch_for(model), []
    for each in (batch, other_padding(batch)):
        model.zero_grad()
        loss = model.loss(each)
        loss.total.backward()
        score = model.score(each)
        gradients = [p.grad.clone() for p in model.parameters()]
        found.append([loss.total, *score[:3], *gradients])
    torch.testing.assert_close(*found, rtol=0, atol=0)
    assert not model.encoder.vectors.embedding.weight.grad[-1].any()


def test_every_parameter_learns(model, batch_for):
    model.loss(batch_for(model)).total.backward()
    assert all(each.grad is not None and each.grad.any() for each in model.parameters())


def test_each_step_gives_what_is_scored(model, batch_for):
    batch = batch_for(model)
    score = model.score(batch)
    tokens, state, context, _ = model.start(batch.sources)
    for moment, targets in enumerate(batch.targets.unbind(1)):
        log_probs, state = model.step(tokens, state, context)
        torch.testing.assert_close(log_probs.exp().sum(1), torch.ones(5))
        nats = -log_probs.gather(1, targets.unsqueeze(1)).squeeze(1)
        real = batch.lengths > moment
        torch.testing.assert_close(nats[real], score.nats[real, moment])
        tokens = targets


@pytest.mark.parametrize("lengths", [(), (0,), (0, 0)], ids=str)
def test_sources_without_tokens(model, batch_for, lengths):
    batch = batch_for(model, lengths)
    loss, score = model.loss(batch), model.score(batch)
    assert loss.tokens == int(batch.lengths.sum())
    assert torch.isfinite(loss.total)
    assert score.nats.shape == batch.targets.shape
    start = model.start(batch.sources)
    log_probs, _ = model.step(*start[:3])
    assert log_probs.shape == (len(lengths), LABELS)
    assert torch.isfinite(log_probs).all()


@pytest.mark.parametrize("head", ["linear", "adaptive_softmax", "mixture_of_softmaxes"])
def test_any_head_that_needs_no_table(build, kind, head, small, batch_for):
    model = build(kind, reader("recurrent", LSTM), head=small(heads, head))
    batch = batch_for(model)
    torch.testing.assert_close(model.loss(batch).total, model.score(batch).nats.sum())
    log_probs, _ = model.step(*model.start(batch.sources)[:3])
    torch.testing.assert_close(log_probs.exp().sum(1), torch.ones(5))


def test_paths_of_a_source_stand_side_by_side(simple, sources):
    assert isinstance(simple, Generative)
    start = simple.start(sources())
    positions = torch.tensor([0, 0, 0, 0, 0, 0, 0, 2, 1, 1])
    log_probs, following = simple.step(torch.zeros(10, dtype=torch.long), positions, start.context)
    for row, position in enumerate(positions.tolist()):
        there = min(position, start.context.shape[1] - 1)
        assert torch.equal(log_probs[row], start.context[row // 2, there])
    assert torch.equal(following, positions + 1)


def test_behind_the_end_it_is_the_same_in_any_batch(simple, sources, row_of, batch_for):
    batch = batch_for(simple)
    alone = simple.start(row_of(batch, 0).sources)
    together = simple.start(batch.sources)
    far = torch.full((5,), 9)
    found, _ = simple.step(far, far, together.context)
    wanted, _ = simple.step(far[:1], far[:1], alone.context)
    torch.testing.assert_close(found[:1], wanted)


@pytest.mark.parametrize("where", ["dropout", "encoder"])
def test_dropout_is_in_training_only(build, kind, where, batch_for):
    options = {"input_dropout": 0.5} if where == "encoder" else {}
    model = build(
        kind, reader("recurrent", LSTM, **options), dropout=0.5 if where == "dropout" else 0.0
    )
    batch = batch_for(model)
    reads = {
        "loss": lambda: model.loss(batch).total,
        "score": lambda: model.score(batch).nats,
        "start": lambda: model.start(batch.sources).context,
    }
    for name, read in reads.items():
        model.train()
        assert not torch.equal(read(), read()), name
        model.eval()
        assert torch.equal(read(), read()), name


def test_targets_that_do_not_fit_are_wrong_data(simple, kind, sources, pairs):
    batch = pairs(sources(), kind == "tagger")
    message = rf"a {kind} gives . labels for a source of 6 tokens, but the target has .: it needs"
    for read in (simple.loss, simple.score):
        with pytest.raises(DataError, match=message):
            read(batch)


def test_a_new_run_tells_each_part_of_its_own_vocabulary(build, kind, tmp_path):
    path = tmp_path / "vectors.txt"
    path.write_text("cat 1 2 3\n", encoding="utf-8")
    pretrained = {"name": "pretrained", "path": str(path)}
    encoder = {**reader("recurrent", LSTM), "embedding": pretrained}
    model = build(kind, encoder, head={"name": "linear", "unigram_bias": True})
    words = (*SPECIALS, "a", "b", "c", "d", "cat")
    counts = torch.tensor([0, 0, 0, 0, 3, 1]).numpy()
    with pytest.warns(UserWarning, match="vectors for 1 of 5 tokens"):
        model.initialise({"source": Facts(words), "target": Facts((*SPECIALS, "x", "y"), counts)})
    assert model.encoder.vectors.embedding.table()[8].tolist() == [1, 2, 3]
    bias = model.head.project.bias
    assert bias[4] > bias[5] > bias[0]


def test_it_learns_its_rows_by_heart(build, kind, batch_for):
    model = build(kind, reader("bidirectional", {"name": "lstm", "hidden_size": 16})).train()
    batch = batch_for(model, (3, 5, 1, 6, 4))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.03)
    for _ in range(40):
        optimizer.zero_grad()
        model.loss(batch).total.backward()
        optimizer.step()
    limits = Limits(batch.lengths.tolist())
    found = Greedy().decode(model.eval(), model.start(batch.sources), limits)
    wanted = [
        tuple(row[:size])
        for row, size in zip(batch.targets.tolist(), limits.max_length, strict=True)
    ]
    assert [each[0].tokens for each in found] == wanted


class TestDecoding:
    """Labels do not depend on one another, so what a search must find can be written down."""

    @pytest.fixture
    def start(self, simple, sources):
        with torch.no_grad():
            for each in simple.parameters():
                each.mul_(2)
            yield simple.start(sources())

    @pytest.fixture
    def limits(self, kind):
        return Limits(1 if kind == "classifier" else [3, 0, 1, 6, 4])

    def test_every_decoder_gives_labels_and_their_scores(self, simple, start, limits, small):
        lengths = limits.lengths(start).tolist()
        for name in decoders.names():
            decoder = decoders.build(small(decoders, name), seed=3, vocab_size=LABELS)
            found = decoder.decode(simple, start, limits)
            assert len(found) == 5, name
            for source, each in enumerate(found):
                assert each, name
                for one in each:
                    assert len(one.tokens) == lengths[source], name
                    own = [
                        float(start.context[source, place, token])
                        for place, token in enumerate(one.tokens)
                    ]
                    assert one.log_probs == pytest.approx(own, abs=1e-5), name
                    assert one.score == pytest.approx(sum(own), abs=1e-5), name

    @pytest.mark.parametrize("name", ["greedy", "exact", "beam", "beam of 1"])
    def test_the_best_sequence_has_the_best_label_everywhere(self, simple, start, limits, name):
        specs = {
            "beam": {"name": "beam", "beam_size": 4},
            "beam of 1": {"name": "beam", "beam_size": 1},
        }
        decoder = decoders.build(specs.get(name, name), seed=1, vocab_size=LABELS)
        found = decoder.decode(simple, start, limits)
        best = start.context.argmax(2).tolist()
        for source, length in enumerate(limits.lengths(start).tolist()):
            assert found[source][0].tokens == tuple(best[source][:length])

    def test_n_best_are_the_best_products(self, simple, start, limits):
        found = Beam(20, 20).decode(simple, start, limits)
        for source, length in enumerate(limits.lengths(start).tolist()):
            rows = start.context[source, :length].tolist()
            every = sorted((sum(path) for path in itertools.product(*rows[:4])), reverse=True)
            if length <= 4:
                wanted = every[:20]
                assert [one.score for one in found[source]] == pytest.approx(wanted, abs=1e-5)

    def test_a_beam_over_all_classes_has_each_once(self, build, sources):
        model = build("classifier", reader("recurrent", LSTM))
        start = model.start(sources())
        for source, each in enumerate(Beam(LABELS + 2, LABELS + 2).decode(model, start, Limits(1))):
            assert sorted(one.tokens for one in each) == [(label,) for label in range(LABELS)]
            scores = [one.score for one in each]
            assert scores == sorted(scores, reverse=True)
            assert sum(map(math.exp, scores)) == pytest.approx(1, abs=1e-5)
            wanted = start.context[source, 0].sort(descending=True).values.tolist()
            assert scores == pytest.approx(wanted, abs=1e-6)


# The model `tagger`: an output for each input, which knows one way or both.


LABELS_TAGGER = 6


def build_tagger(source, name):
    torch.manual_seed(1)
    cell = {"name": "lstm", "hidden_size": 5}
    encoder = {"name": name, "cell": cell, "embedding": {"size": 3}}
    return models.build(
        {"name": "tagger", "encoder": encoder}, vocab_size=LABELS_TAGGER, source=source
    )


def changes(model, sources):
    """Whether the label at each place (rows) changes with the word at each place (columns)."""
    before = model.start(sources).context[0, :-1]
    found = []
    for place in range(sources.values.shape[1]):
        words = sources.values.clone()
        words[0, place] = (words[0, place] + 1) % 8
        after = model.start(Sources(words, sources.lengths)).context[0, :-1]
        found.append((before - after).abs().amax(1) > 1e-6)
    return torch.stack(found, 1).tolist()


def test_one_way_knows_the_words_up_to_its_own(source, sources):
    found = changes(build_tagger(source, "recurrent"), sources((4,)))
    assert found == [[column <= row for column in range(4)] for row in range(4)]


def test_two_ways_know_all_words(source, sources):
    assert changes(build_tagger(source, "bidirectional"), sources((4,))) == [[True] * 4] * 4


def test_the_head_reads_the_output_of_each_word(source, sources):
    model, here = build_tagger(source, "bidirectional"), sources()
    memory = model.encoder(here).memory
    wanted = model.head.project(memory).log_softmax(2)
    torch.testing.assert_close(model.start(here).context[:, :-1], wanted)


@pytest.mark.parametrize("encoder", ["label", "vector"])
def test_an_encoder_without_outputs_is_refused(source, encoder):
    spec = {"name": "tagger", "encoder": encoder}
    with pytest.raises(OptionError, match="`encoder` must have an output for each token"):
        models.build(spec, vocab_size=LABELS_TAGGER, source={**source, "vector_size": 3})


# The model `classifier`: what it reads of a source, and the lectures' two ways to feed it.


LABELS_CLASSIFIER = 6


def build_classifier(source, cell="lstm", **options):
    torch.manual_seed(1)
    encoder = {
        "name": "recurrent",
        "cell": {"name": cell, "hidden_size": 5},
        "embedding": {"size": 3},
    }
    spec = {"name": "classifier", "encoder": encoder, **options}
    return models.build(spec, vocab_size=LABELS_CLASSIFIER, source=source).eval()


def log_probs_of(model, sources):
    return model.start(sources).context[:, 0]


def test_last_is_what_the_cell_remembers_at_the_end_of_each_row(source, sources):
    model, here = build_classifier(source), sources()
    summary = model.encoder(here).summary
    assert model.head.project.in_features == 10
    wanted = model.head.project(summary).log_softmax(1)
    torch.testing.assert_close(log_probs_of(model, here), wanted)


@pytest.mark.parametrize("pooling", ["mean", "max"])
def test_mean_and_maximum_are_of_the_tokens_alone(source, sources, pooling):
    model, here = build_classifier(source, pooling=pooling), sources()
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
    at_once, by_step = build_classifier(source, "lstm"), build_classifier(source, "lstm_cell")
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
        {"name": "classifier", "encoder": "label"}, vocab_size=LABELS_CLASSIFIER, source=source
    )
    assert by_label.score(pairs(sources(), True)).nats.shape == (5, 1)
    by_vector = models.build(
        {"name": "classifier", "encoder": "vector"},
        vocab_size=LABELS_CLASSIFIER,
        source={"vector_size": 3},
    )
    vectors = Sources(torch.randn(5, 3), torch.ones(5, dtype=torch.long))
    batch = pairs(sources(), True)
    assert by_vector.score(
        type(batch)(vectors, batch.inputs, batch.targets, batch.lengths, batch.row_ids)
    ).nats.all()


@pytest.mark.parametrize("pooling", ["mean", "max"])
def test_without_outputs_there_is_nothing_to_pool(source, pooling):
    spec = {"name": "classifier", "encoder": "label", "pooling": pooling}
    with pytest.raises(OptionError, match="`pooling` must be last for an encoder without outputs"):
        models.build(spec, vocab_size=LABELS_CLASSIFIER, source=source)


def test_a_head_that_shares_a_table_has_none_here(source):
    with pytest.raises(OptionError, match="head 'tied' needs a `table`"):
        build_classifier(source, head="tied")


def test_takes_classes_and_partials_as_well_as_parts_of_recipes(source, sources):
    encoder = partial(Recurrent, cell=partial(GRU, hidden_size=4))
    model = Classifier(LABELS_CLASSIFIER, source, encoder)
    assert log_probs_of(model, sources()).shape == (5, LABELS_CLASSIFIER)


def test_rare_classes_weigh_more_where_that_is_wanted(source, sources, pairs):
    """Of 4 and 16 rows: with a balance of 1/2 they count 2 to 1, and 1 in the mean of all rows."""
    counts = np.array([0, 0, 0, 0, 4, 16])
    facts = {"target": Facts(("",) * LABELS_CLASSIFIER, counts), "source": Facts(("",) * 9)}
    batch = pairs(sources(), True)
    batch = replace(batch, targets=torch.full_like(batch.targets, 4))
    models = [build_classifier(source, balance=balance) for balance in (0.0, 0.5)]
    for model in models:
        model.initialise(facts)
    plain, weighed = (model.train().loss(batch).total for model in models)
    torch.testing.assert_close(weighed / plain, torch.tensor(20 / (4 * 2 + 16) * 2))
    scores = [model.eval().score(batch).nats for model in models]
    torch.testing.assert_close(*scores)
    losses = [model.loss(batch).total for model in models]
    torch.testing.assert_close(*losses)
