"""Models that label: what they read of a source, how they are searched, and what they learn."""

import itertools
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from seqgen.cells import GRU
from seqgen.data import Sources
from seqgen.decoders import Beam, Greedy, Limits, decoders
from seqgen.encoders import Recurrent
from seqgen.errors import DataError
from seqgen.heads import heads
from seqgen.models import Classifier, Generative, models
from seqgen.options import OptionError
from seqgen.tokenizers import SPECIALS, Facts

LABELS = 6
LSTM = {"name": "lstm", "hidden_size": 4}


@pytest.fixture(params=["classifier", "tagger"])
def kind(request):
    return request.param


@pytest.fixture
def simple(kind, label_build):
    return label_build(kind, "bidirectional")


@pytest.mark.parametrize("head", ["linear", "adaptive_softmax", "mixture_of_softmaxes"])
def test_any_head_that_needs_no_table(label_build, kind, head, small, batch_for):
    model = label_build(kind, "recurrent", head=small(heads, head))
    batch = batch_for(model)
    torch.testing.assert_close(model.loss(batch).total, model.score(batch).nats.sum())
    log_probs, _ = model.step(*model.start(batch.sources)[:3])
    torch.testing.assert_close(log_probs.exp().sum(1), torch.ones(5))


@pytest.mark.parametrize(
    ("kind", "encoder", "options", "message"),
    [
        ("classifier", "recurrent", {"head": "tied"}, "head 'tied' needs a `table`"),
        ("tagger", "recurrent", {"head": "tied"}, "head 'tied' needs a `table`"),
        ("tagger", "label", {}, "`encoder` must have an output for each token"),
        ("tagger", "vector", {}, "`encoder` must have an output for each token"),
        ("classifier", "label", {"pooling": "mean"}, "`pooling` must be last for an encoder witho"),
        ("classifier", "label", {"pooling": "max"}, "`pooling` must be last for an encoder withou"),
    ],
)
def test_parts_that_do_not_go_together_are_refused(label_build, kind, encoder, options, message):
    with pytest.raises(OptionError, match=message):
        label_build(kind, encoder if encoder == "recurrent" else {"name": encoder}, **options)


def test_paths_of_a_source_stand_side_by_side(simple, sources):
    assert isinstance(simple, Generative)
    start = simple.start(sources())
    positions = torch.tensor([0, 0, 0, 0, 0, 0, 0, 2, 1, 1])
    log_probs, following = simple.step(torch.zeros(10, dtype=torch.long), positions, start.context)
    for row, position in enumerate(positions.tolist()):
        there = min(position, start.context.shape[1] - 1)
        assert torch.equal(log_probs[row], start.context[row // 2, there])
    assert torch.equal(following, positions + 1)


def test_after_the_end_it_is_the_same_in_any_batch(simple, take, batch_for):
    batch = batch_for(simple)
    alone, together = simple.start(take(batch, [0]).sources), simple.start(batch.sources)
    far = torch.full((5,), 9)
    found, _ = simple.step(far, far, together.context)
    wanted, _ = simple.step(far[:1], far[:1], alone.context)
    torch.testing.assert_close(found[:1], wanted)


@pytest.mark.parametrize("where", ["dropout", "input_dropout"])
def test_dropout_is_in_training_only(label_build, kind, where, batch_for):
    encoder = {"name": "recurrent", "cell": LSTM, **({where: 0.5} if "input" in where else {})}
    model = label_build(kind, encoder, **({} if "input" in where else {where: 0.5}))
    batch = batch_for(model)
    for read in (
        lambda: model.loss(batch).total,
        lambda: model.score(batch).nats,
        lambda: model.start(batch.sources).context,
    ):
        model.train()
        assert not torch.equal(read(), read())
        model.eval()
        assert torch.equal(read(), read())


def test_targets_that_do_not_fit_are_wrong_data(simple, kind, sources, pairs):
    batch = pairs(sources(), kind == "tagger")
    message = rf"a {kind} gives . labels for a source of 6 tokens, but the target has .: it needs"
    for read in (simple.loss, simple.score):
        with pytest.raises(DataError, match=message):
            read(batch)


def test_a_new_run_gives_each_part_the_statistics_of_its_own_vocabulary(
    label_build, kind, tmp_path
):
    path = tmp_path / "vectors.txt"
    path.write_text("cat 1 2 3\n", encoding="utf-8")
    embedding = {"name": "pretrained", "path": str(path)}
    encoder = {"name": "recurrent", "cell": LSTM, "embedding": embedding}
    model = label_build(kind, encoder, head={"name": "linear", "unigram_bias": True})
    words = (*SPECIALS, "a", "b", "c", "d", "cat")
    counts = torch.tensor([0, 0, 0, 0, 3, 1]).numpy()
    with pytest.warns(UserWarning, match="vectors for 1 of 5 tokens"):
        model.initialise({"source": Facts(words), "target": Facts((*SPECIALS, "x", "y"), counts)})
    assert model.encoder.vectors.embedding.table()[8].tolist() == [1, 2, 3]
    bias = model.head.project.bias
    assert bias[4] > bias[5] > bias[0]


def test_it_learns_its_rows_by_heart(label_build, kind, batch_for):
    cell = {"name": "lstm", "hidden_size": 16}
    model = label_build(kind, {"name": "bidirectional", "cell": cell}).train()
    batch = batch_for(model, (3, 5, 1, 6, 4))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.03)
    for _ in range(40):
        optimizer.zero_grad()
        model.loss(batch).total.backward()
        optimizer.step()
    lengths = batch.lengths.tolist()
    found = Greedy().decode(model.eval(), model.start(batch.sources), Limits(lengths))
    rows = zip(batch.targets.tolist(), lengths, strict=True)
    assert [each[0].tokens for each in found] == [tuple(row[:size]) for row, size in rows]


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

    @pytest.mark.parametrize("name", ["greedy", "exact", "beam", "beam of 1"])
    def test_the_best_sequence_has_the_best_label_everywhere(self, simple, start, limits, name):
        sizes = {"beam": 4, "beam of 1": 1}
        spec = {"name": "beam", "beam_size": sizes[name]} if name in sizes else name
        found = decoders.build(spec, seed=1, vocab_size=LABELS).decode(simple, start, limits)
        best = start.context.argmax(2).tolist()
        for source, length in enumerate(limits.lengths(start).tolist()):
            assert found[source][0].tokens == tuple(best[source][:length])

    def test_n_best_are_the_best_products(self, simple, start, limits):
        found = Beam(20, 20).decode(simple, start, limits)
        for source, length in enumerate(limits.lengths(start).tolist()):
            if length <= 4:
                rows = start.context[source, :length].tolist()
                every = sorted((sum(path) for path in itertools.product(*rows)), reverse=True)
                scores = [one.score for one in found[source]]
                assert scores == pytest.approx(every[:20], abs=1e-5)


class TestTagger:
    @pytest.mark.parametrize("name", ["recurrent", "bidirectional"])
    def test_one_way_knows_the_words_up_to_its_own_and_two_ways_all(
        self, label_build, sources, name
    ):
        model, here = label_build("tagger", name), sources((4,))
        before = model.start(here).context[0, :-1]
        for place in range(4):
            words = here.values.clone()
            words[0, place] = (words[0, place] + 1) % 8
            after = model.start(Sources(words, here.lengths)).context[0, :-1]
            changed = ((before - after).abs().amax(1) > 1e-6).tolist()
            assert changed == [name == "bidirectional" or place <= own for own in range(4)]

    def test_the_head_reads_the_output_of_each_word(self, label_build, sources):
        model, here = label_build("tagger", "bidirectional"), sources()
        wanted = model.head.project(model.encoder(here).memory).log_softmax(2)
        torch.testing.assert_close(model.start(here).context[:, :-1], wanted)


class TestClassifier:
    @pytest.fixture
    def build(self, label_build):
        def make(cell="lstm", **options):
            encoder = {"name": "recurrent", "cell": {"name": cell, "hidden_size": 5}}
            return label_build("classifier", encoder, **options)

        return make

    @staticmethod
    def log_probs(model, sources):
        return model.start(sources).context[:, 0]

    def test_last_is_what_the_cell_remembers_at_the_end_of_each_row(self, build, sources):
        model, here = build(), sources()
        assert model.head.project.in_features == 10
        wanted = model.head.project(model.encoder(here).summary).log_softmax(1)
        torch.testing.assert_close(self.log_probs(model, here), wanted)

    @pytest.mark.parametrize("pooling", ["mean", "max"])
    def test_mean_and_maximum_are_of_the_tokens_alone(self, build, sources, pooling):
        model, here = build(pooling=pooling), sources()
        memory, found = model.encoder(here).memory, model.positions(here)[:, 0]
        assert model.head.project.in_features == 5
        for row, length in enumerate(here.lengths.tolist()):
            own, wanted = memory[row, :length], torch.zeros(5)
            if length:
                wanted = own.mean(0) if pooling == "mean" else own.max(0).values
            torch.testing.assert_close(found[row], wanted)

    def test_a_label_or_a_vector_can_be_classified_too(self, label_build, pairs, sources):
        batch = pairs(sources(), True)
        by_label = label_build("classifier", "label")
        assert by_label.score(batch).nats.shape == (5, 1)
        vectors = Sources(torch.randn(5, 3), torch.ones(5, dtype=torch.long))
        by_vector = label_build("classifier", "vector")
        assert by_vector.score(replace(batch, sources=vectors)).nats.all()

    def test_takes_classes_and_partials_as_well_as_parts_of_recipes(self, sources):
        encoder = partial(Recurrent, cell=partial(GRU, hidden_size=4))
        model = Classifier(LABELS, {"vocab_size": 9}, encoder)
        assert self.log_probs(model, sources()).shape == (5, LABELS)
        assert "classifier" in models.names()

    def test_rare_classes_weigh_more_where_that_is_wanted(self, build, sources, pairs):
        """Of 4 and 16 rows: with a balance of 1/2 they count 2 to 1, and 1 in the mean of all."""
        counts = np.array([0, 0, 0, 0, 4, 16])
        facts = {"target": Facts(("",) * LABELS, counts), "source": Facts(("",) * 9)}
        batch = pairs(sources(), True)
        batch = replace(batch, targets=torch.full_like(batch.targets, 4))
        both = [build(balance=balance) for balance in (0.0, 0.5)]
        both[1].initialise({**facts, "target": Facts(("",) * LABELS)})  # no counts, no weights
        assert both[1].weights.eq(1).all()
        for model in both:
            model.initialise(facts)
        assert both[0].weights.eq(1).all()
        plain, weighted = (model.train().loss(batch).total for model in both)
        torch.testing.assert_close(weighted / plain, torch.tensor(20 / (4 * 2 + 16) * 2))
        torch.testing.assert_close(*(model.eval().score(batch).nats for model in both))
        torch.testing.assert_close(*(model.loss(batch).total for model in both))
