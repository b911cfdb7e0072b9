"""The head `tied`: one weight for reading and for writing."""

import torch

from seqgen.cells import LSTM
from seqgen.data import TokenBatch
from seqgen.embeddings import LearnedEmbedding, OneHot
from seqgen.heads import TiedHead
from seqgen.models import LanguageModel

VOCAB, SIZE = 7, 5


def model(hidden_size, size=SIZE):
    torch.manual_seed(1)
    return LanguageModel(
        VOCAB,
        cell=lambda input_size: LSTM(input_size, hidden_size),
        head=TiedHead,
        embedding=lambda vocab_size: LearnedEmbedding(vocab_size, size),
    )


def batch():
    return TokenBatch(*torch.randint(VOCAB, (2, 3, 4), generator=torch.manual_seed(2)))


def test_shares_the_very_parameter():
    made = model(SIZE)
    assert made.head.table is made.embedding.weight
    names = [name for name, _ in made.named_parameters()]
    assert "embedding.weight" in names
    assert "head.table" not in names


def test_the_gradient_is_the_sum_of_both_uses():
    made = model(SIZE)
    made.loss(batch()).total.backward()
    both = made.embedding.weight.grad.clone()

    reading, writing = model(SIZE), model(SIZE)
    reading.head.table = torch.nn.Parameter(reading.head.table.detach().clone())
    reading.loss(batch()).total.backward()
    writing.embedding.weight = torch.nn.Parameter(writing.head.table.detach().clone())
    writing.loss(batch()).total.backward()

    parts = reading.embedding.weight.grad, writing.head.table.grad
    assert all(part.any() for part in parts)
    torch.testing.assert_close(both, sum(parts))


def test_projects_only_where_sizes_differ():
    assert not list(model(SIZE).head.project.parameters())
    [weight] = model(SIZE + 2).head.project.parameters()
    assert weight.shape == (SIZE, SIZE + 2)


def test_the_logits_are_products_with_the_table():
    head = model(SIZE + 2).head
    with torch.no_grad():
        head.bias.normal_()
    hidden = torch.randn(3, SIZE + 2)
    logits = hidden @ head.project.weight.T @ head.table.T + head.bias
    torch.testing.assert_close(head.log_probs(hidden), logits.log_softmax(-1))


def test_a_fixed_table_is_not_learned_and_not_saved():
    embedding = OneHot(VOCAB)
    head = TiedHead(VOCAB, VOCAB, embedding.table())
    assert [name for name, _ in head.named_parameters()] == ["bias"]
    assert list(head.state_dict()) == ["bias"]
    hidden = torch.randn(3, VOCAB)
    torch.testing.assert_close(head.log_probs(hidden), hidden.log_softmax(-1))


def test_stays_tied_when_loaded_and_moved():
    one, other = model(SIZE), model(SIZE)
    with torch.no_grad():
        one.embedding.weight.add_(1)
    other.load_state_dict(one.state_dict())
    for each in (other, other.double()):
        assert each.head.table is each.embedding.weight
        torch.testing.assert_close(each.head.table, one.embedding.weight.to(each.head.table.dtype))
