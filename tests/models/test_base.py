"""The contract of models, and the laws of those that learn from pairs of a source and a target."""

from functools import partial

import pytest
import torch

from seqgen.cells import LSTM, cells
from seqgen.data import Prompts, TokenBatch
from seqgen.embeddings import PretrainedEmbedding, embeddings
from seqgen.heads import Head, LinearHead, TiedHead, heads
from seqgen.models import Generative, LanguageModel, Loss, Model, Score, models
from seqgen.models.base import SCORED_AT_ONCE, mask_padding, scored
from seqgen.state import leaves, real, reorder
from seqgen.tokenizers import SPECIALS, Facts

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


@pytest.mark.parametrize("name", models.names())
def test_every_model_is_made_for_the_sizes_of_its_data(name, small):
    made = models.build(small(models, name), vocab_size=7, source={"vocab_size": 9})
    assert 7 in {each.shape[0] for each in made.head.parameters()}
    assert made.looks_back is (name == "seq2seq")


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

    def test_learning_waits_for_no_gpu(self, pair_model, batch_for, without_waiting):
        model, batch = pair_model.train().to("meta"), batch_for(pair_model).to("meta")
        with without_waiting():
            model.loss(batch).total.backward()

    @pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
    @pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
    def test_a_gpu_learns_the_same_without_waiting(self, pair_model, batch_for, precision):
        batch = batch_for(pair_model)
        wanted, there = float(pair_model.loss(batch).total), pair_model.cuda()

        def loss():
            with torch.autocast("cuda", precision, enabled=precision == torch.bfloat16):
                return there.loss(batch.to("cuda")).total

        close = 1e-3 if precision == torch.float32 else 0.1
        assert float(loss()) == pytest.approx(wanted, rel=close)
        there.train()
        loss().backward()  # libraries prepare themselves
        torch.cuda.set_sync_debug_mode("error")
        try:
            loss().backward()
        finally:
            torch.cuda.set_sync_debug_mode("default")


SHORT_LENGTHS = torch.tensor([0, 2, 3])


@pytest.mark.parametrize("value", [1.0, True, 7])
def test_zeros_stand_after_each_length(value):
    found = mask_padding(torch.full((3, 3), value), SHORT_LENGTHS)
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


VOCAB, BATCH, TIME = 9, 4, 6


def build(small, cell="lstm", **others):
    torch.manual_seed(1)
    spec = {"name": "language_model", "cell": small(cells, cell), **others}
    return models.build(spec, vocab_size=VOCAB).eval()


@pytest.fixture
def model(small):
    return build(small)


@pytest.fixture(params=cells.names())
def of_each_cell(request, small):
    return build(small, request.param)


@pytest.fixture(params=[(head, table) for head in heads.names() for table in embeddings.names()])
def of_each_head(request, small):
    head, table = request.param
    return build(small, head=small(heads, head), embedding=small(embeddings, table))


def tokens(*shape):
    return torch.randint(VOCAB, shape, generator=torch.Generator().manual_seed(2))


def batch(lengths=None):
    return TokenBatch(tokens(BATCH, TIME), tokens(BATCH, TIME).flip(1), lengths)


LENGTHS = torch.tensor([0, 1, TIME, 3])


def test_generates(model):
    assert isinstance(model, Generative)


@pytest.mark.parametrize("lengths", [None, LENGTHS])
def test_the_loss_is_the_sum_of_scored_nats(of_each_cell, lengths):
    loss, score = of_each_cell.loss(batch(lengths)), of_each_cell.score(batch(lengths))
    torch.testing.assert_close(loss.total, score.nats.sum(), rtol=1e-5, atol=1e-5)
    assert loss.tokens == (BATCH * TIME if lengths is None else 10)
    assert loss.total.requires_grad
    for a, b in zip(leaves(loss.state), leaves(score.state), strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("lengths", [None, LENGTHS])
def test_learning_waits_for_no_gpu(of_each_cell, lengths, without_waiting):
    model, given = of_each_cell.train().to("meta"), batch(lengths).to("meta")

    with without_waiting():
        loss = model.loss(given)
        model.loss(given, loss.state).total.backward()


def test_heads_and_embeddings_go_together(of_each_head):
    loss, score = of_each_head.loss(batch()), of_each_head.score(batch())
    torch.testing.assert_close(loss.total, score.nats.sum(), rtol=1e-5, atol=1e-5)
    loss.total.backward()
    assert all(each.grad.any() for each in of_each_head.parameters())


def test_padding_next_to_a_row_does_not_matter(of_each_cell):
    here = batch(LENGTHS)
    padding = ~real(LENGTHS, TIME)
    here = TokenBatch(here.inputs.clamp(min=1), here.targets, LENGTHS)
    inputs, targets = here.inputs.masked_fill(padding, 0), here.targets.masked_fill(padding, 5)
    other = TokenBatch(inputs, targets, LENGTHS)
    with torch.no_grad():
        of_each_cell.embedding.weight[0] = 1e4  # what padding is read as, in the other batch
    found = []
    for each in (here, other):
        of_each_cell.zero_grad()
        loss = of_each_cell.loss(each)
        loss.total.backward()
        found.append([loss.total, *(p.grad.clone() for p in of_each_cell.parameters())])
    torch.testing.assert_close(*found, rtol=0, atol=0)


def test_a_batch_without_targets_has_no_loss(model):
    none = torch.zeros(BATCH, dtype=torch.long)
    loss = model.loss(batch(none))
    assert (loss.total.item(), loss.tokens) == (0.0, 0)


def test_windows_with_carried_state_are_the_whole(of_each_cell):
    whole, state, nats = batch(), None, []
    for window in (slice(0, 2), slice(2, 3), slice(3, TIME)):
        part = TokenBatch(whole.inputs[:, window], whole.targets[:, window], continues=True)
        score, loss = of_each_cell.score(part, state), of_each_cell.loss(part, state)
        torch.testing.assert_close(loss.total, score.nats.sum(), rtol=1e-5, atol=1e-5)
        nats.append(score.nats)
        state = score.state
    torch.testing.assert_close(torch.cat(nats, 1), of_each_cell.score(whole).nats)


def test_training_resamples_the_masks_of_a_state_that_is_carried(small):
    made = build(small, "variational_dropout").train()
    state = made.loss(batch()).state
    assert not torch.equal(made.loss(batch(), state).state.of_inputs, state.of_inputs)
    assert torch.equal(made.score(batch(), state).state.of_inputs, state.of_inputs)
    made.eval()
    assert torch.equal(made.loss(batch(), state).state.of_inputs, state.of_inputs)


def test_start_and_step_are_teacher_forcing(of_each_cell):
    whole = tokens(BATCH, TIME + 1)
    wanted = of_each_cell.score(TokenBatch(whole[:, :-1], whole[:, 1:]))
    prompts = Prompts(whole[:, :2], torch.full((BATCH,), 2))
    current, state, context, _ = of_each_cell.start(prompts)
    for time in range(1, TIME):
        log_probs, state = of_each_cell.step(current, state, context)
        current = whole[:, time + 1]
        nats = -log_probs.gather(1, current.unsqueeze(1)).squeeze(1)
        torch.testing.assert_close(nats, wanted.nats[:, time], rtol=1e-5, atol=1e-5)
        assert torch.equal(log_probs.argmax(1) == current, wanted.correct[:, time])


def test_a_stepper_for_many_tokens_takes_the_same_steps(of_each_cell):
    prompts = Prompts(tokens(BATCH, TIME), torch.full((BATCH,), TIME))
    current, state, context, _ = of_each_cell.start(prompts)
    stepper, other = of_each_cell.stepper(VOCAB), state
    few = of_each_cell.stepper(VOCAB - 1)
    for _ in range(3):
        alike, _ = few.step(current, state, context)
        wanted, state = of_each_cell.step(current, state, context)
        assert torch.equal(alike, wanted)
        found, other = stepper.step(current, other, context)
        torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)
        for one, two in zip(leaves(other), leaves(state), strict=True):
            torch.testing.assert_close(one, two, rtol=1e-5, atol=1e-5)
        current = found.argmax(1)


def test_prompts_of_different_length_are_as_alone(of_each_cell):
    lengths = torch.tensor([1, 3, TIME, 2])
    prompts = Prompts(tokens(BATCH, TIME), lengths)
    together = of_each_cell.start(prompts)
    log_probs, state = of_each_cell.step(*together[:3])
    for row, length in enumerate(lengths.tolist()):
        alone = of_each_cell.start(Prompts(prompts.tokens[[row], :length], lengths[[row]]))
        assert alone.tokens.tolist() == [prompts.tokens[row, length - 1]]
        found, last = of_each_cell.step(*alone[:3])
        torch.testing.assert_close(found, log_probs[[row]], rtol=1e-5, atol=1e-5)
        here = reorder(state, torch.tensor([row]))
        for a, b in zip(leaves(last), leaves(here), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)


def test_a_row_has_the_loss_that_it_has_alone(of_each_cell):
    here = batch(LENGTHS)
    nats = of_each_cell.score(here).nats
    assert not nats[~real(LENGTHS, TIME)].any()
    for row, length in enumerate(LENGTHS.tolist()):
        alone = TokenBatch(here.inputs[[row], :length], here.targets[[row], :length])
        torch.testing.assert_close(nats[row].sum(), of_each_cell.loss(alone).total)


@pytest.mark.parametrize("where", ["dropout", "input_dropout"])
def test_dropout_is_in_training_only(small, where):
    model = build(small, **{where: 0.5})
    start = model.start(Prompts(tokens(BATCH, 1), torch.ones(BATCH, dtype=torch.long)))
    reads = {
        "loss": lambda: model.loss(batch()).total,
        "score": lambda: model.score(batch()).nats,
        "step": lambda: model.step(*start[:3])[0],
    }
    for name, read in reads.items():
        model.train()
        assert not torch.equal(read(), read()), name
        model.eval()
        assert torch.equal(read(), read()), name


def test_takes_classes_and_partials_as_well_as_parts_of_recipes():
    tokens = torch.tensor([[1, 2, 3]])
    for cell in (
        partial(LSTM, hidden_size=4),
        lambda input_size: LSTM(input_size, 4),
        LSTM,
        "lstm",
    ):
        for head in (LinearHead, TiedHead):
            model = LanguageModel(7, cell=cell, head=head)
            assert model.score(TokenBatch(tokens, tokens)).nats.shape == (1, 3)


class Informed(LinearHead):
    def initialise(self, facts):
        self.facts = facts


def test_embedding_and_head_of_a_new_run_know_the_vocabulary(tmp_path):
    path = tmp_path / "vectors.txt"
    path.write_text("a 1 2 3\n", encoding="utf-8")
    embedding = partial(PretrainedEmbedding, path=path)
    model = LanguageModel(6, cell="lstm", head=Informed, embedding=embedding)
    facts = Facts((*SPECIALS, "b", "a"))
    with pytest.warns(UserWarning, match="vectors for 1 of 2 tokens"):
        model.initialise({"text": facts})
    assert model.embedding.table()[5].tolist() == [1, 2, 3]
    assert model.head.facts is facts
