"""The model `language_model`: what training sees is what scoring and generation see."""

from functools import partial

import pytest
import torch

from seqgen.cells import LSTM, cells
from seqgen.data import Prompts, TokenBatch
from seqgen.embeddings import PretrainedEmbedding, embeddings
from seqgen.heads import LinearHead, TiedHead, heads
from seqgen.models import Generative, LanguageModel, models
from seqgen.state import leaves, real, reorder
from seqgen.tokenizers import SPECIALS, Facts

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
