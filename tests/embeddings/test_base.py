"""The laws of embeddings, for every registered one."""

import io

import pytest
import torch

from seqgen.embeddings import Embedding, LearnedEmbedding, OneHot, embeddings

VOCAB = 7


@pytest.fixture(params=embeddings.names())
def make(request, small):
    """A function that makes the small embedding of a name."""
    return lambda: embeddings.build(small(embeddings, request.param), vocab_size=VOCAB)


@pytest.fixture
def embedding(make):
    torch.manual_seed(1)
    return make()


def test_is_an_embedding(embedding):
    assert isinstance(embedding, Embedding)


@pytest.mark.parametrize("shape", [(), (5,), (2, 3), (2, 0), (2, 3, 4)])
def test_looks_tokens_up_in_its_table(embedding, shape):
    tokens = torch.randint(VOCAB, shape)
    vectors = embedding(tokens)
    assert vectors.shape == (*shape, embedding.output_size)
    assert torch.equal(vectors, embedding.table()[tokens])


def test_the_table_has_a_vector_for_each_token(embedding):
    assert embedding.table().shape == (VOCAB, embedding.output_size)


def test_gradients_reach_the_tokens_that_were_read(embedding):
    if not list(embedding.parameters()):
        assert not embedding(torch.tensor([1])).requires_grad
        return
    embedding(torch.tensor([[1, 4], [4, 1]])).square().sum().backward()
    for each in embedding.parameters():
        assert each.grad.any()
    table = embedding.table()
    if isinstance(table, torch.nn.Parameter):
        assert table.grad.any(1).nonzero().flatten().tolist() == [1, 4]


def test_is_saved_and_loaded(embedding, make):
    stored = io.BytesIO()
    torch.save(embedding.state_dict(), stored)
    stored.seek(0)
    other = make()
    other.load_state_dict(torch.load(stored, weights_only=True))
    assert torch.equal(other.table(), embedding.table())


# The embedding `learned`: a table that is a parameter.


def test_the_table_is_the_parameter_itself():
    made = LearnedEmbedding(vocab_size=5, size=3)
    assert made.table() is made.weight
    assert list(made.parameters()) == [made.weight]


def test_size_and_std():
    torch.manual_seed(1)
    made = LearnedEmbedding(vocab_size=200, size=100, std=0.1)
    assert made.output_size == 100
    assert abs(float(made.weight.detach().std()) - 0.1) < 0.002
    assert abs(float(made.weight.detach().mean())) < 0.002


# The embedding `one_hot`: unit vectors, nothing learned, nothing saved.


def test_has_a_one_at_the_token():
    made = OneHot(vocab_size=4)
    assert made.output_size == 4
    assert made(torch.tensor([2, 0])).tolist() == [[0, 0, 1, 0], [1, 0, 0, 0]]


def test_nothing_is_learned_or_saved():
    made = OneHot(vocab_size=4)
    assert not list(made.parameters())
    assert not made.state_dict()


def test_follows_the_model_to_another_type():
    assert OneHot(vocab_size=4).double()(torch.tensor(1)).dtype == torch.float64
