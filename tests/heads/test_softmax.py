"""How likely each token is when nothing is known of its context."""

import copy

import numpy as np
import pytest
import torch

from seqgen.cells import cells
from seqgen.data import TokenBatch
from seqgen.embeddings import LearnedEmbedding, OneHot
from seqgen.heads import LinearHead, TiedHead
from seqgen.heads.softmax import unigram_log_probs
from seqgen.models import models
from seqgen.tokenizers import Facts


def test_a_token_never_seen_is_rare_but_possible():
    found = unigram_log_probs(Facts(("a", "b"), np.array([0, 8])))
    torch.testing.assert_close(found.exp(), torch.tensor([0.1, 0.9], dtype=torch.float64))


def test_counts_are_needed():
    with pytest.raises(ValueError, match="`unigram_bias` needs counts of tokens"):
        unigram_log_probs(Facts(("a", "b")))


# The head `linear`: an affine map with weights of its own.


@pytest.mark.parametrize("bias", [True, False])
def test_is_an_affine_map_and_a_softmax(bias):
    head, hidden = LinearHead(3, 5, bias=bias), torch.randn(4, 3)
    logits = hidden @ head.project.weight.T
    if bias:
        logits = logits + head.project.bias
    assert (head.project.bias is not None) == bias
    torch.testing.assert_close(head.log_probs(hidden), logits.log_softmax(-1))


def test_smoothing_is_for_training_only():
    torch.manual_seed(1)
    head, hidden, targets = (
        LinearHead(3, 5, label_smoothing=0.1),
        torch.randn(4, 3),
        torch.arange(4),
    )
    log_probs = head.log_probs(hidden)
    nats = -log_probs[torch.arange(4), targets]
    torch.testing.assert_close(head.loss(hidden, targets), 0.9 * nats - 0.1 * log_probs.mean(-1))
    torch.testing.assert_close(head.eval().loss(hidden, targets), nats)


def test_may_start_at_the_unigram_frequencies():
    head = LinearHead(3, 4, unigram_bias=True)
    head.initialise(Facts(("a", "b", "c", "d"), np.array([0, 5, 1, 6])))
    shares = head.log_probs(torch.zeros(3)).exp()
    torch.testing.assert_close(shares, torch.tensor([1, 6, 2, 7]) / 16)


def test_starts_as_drawn_where_nothing_else_is_wanted():
    head = LinearHead(3, 4)
    before = head.project.bias.detach().clone()
    head.initialise(Facts(("a", "b", "c", "d"), np.array([0, 5, 1, 6])))
    assert torch.equal(head.project.bias, before)


def test_unigrams_need_a_bias():
    with pytest.raises(ValueError, match="`unigram_bias` needs `bias`, but that is false"):
        LinearHead(3, 4, bias=False, unigram_bias=True)


# The head `tied`: one weight for reading and for writing.


VOCAB, SIZE = 7, 5


def model(hidden_size, size=SIZE):
    torch.manual_seed(1)
    spec = {
        "name": "language_model",
        "cell": cells.check({"name": "lstm", "hidden_size": hidden_size}),
        "head": "tied",
        "embedding": {"name": "learned", "size": size},
    }
    return models.build(spec, vocab_size=VOCAB)


def batch():
    return TokenBatch(*torch.randint(VOCAB, (2, 3, 4), generator=torch.manual_seed(2)))


def test_shares_the_very_parameter():
    made = model(SIZE)
    assert made.head.table() is made.embedding.weight
    weights = [name for name, each in made.named_parameters() if each.shape == (VOCAB, SIZE)]
    assert weights == ["embedding.weight"]
    assert [name for name in made.state_dict() if "head" in name] == ["head.bias"]


def test_the_gradient_is_the_sum_of_both_uses():
    made = model(SIZE)
    made.loss(batch()).total.backward()

    apart = model(SIZE)
    other = LearnedEmbedding(VOCAB, SIZE)
    other.load_state_dict(apart.embedding.state_dict())
    apart.head.table = other.table
    apart.loss(batch()).total.backward()

    reading, writing = apart.embedding.weight.grad, other.weight.grad
    assert reading.any()
    assert writing.any()
    torch.testing.assert_close(made.embedding.weight.grad, reading + writing)


def test_projects_only_where_sizes_differ():
    assert not list(model(SIZE).head.project.parameters())
    [weight] = model(SIZE + 2).head.project.parameters()
    assert weight.shape == (SIZE, SIZE + 2)


def test_the_logits_are_products_with_the_table():
    head = model(SIZE + 2).head
    with torch.no_grad():
        head.bias.normal_()
    hidden = torch.randn(3, SIZE + 2)
    logits = hidden @ head.project.weight.T @ head.table().T + head.bias
    torch.testing.assert_close(head.log_probs(hidden), logits.log_softmax(-1))


def test_a_fixed_table_is_not_learned_and_not_saved():
    embedding = OneHot(VOCAB)
    head = TiedHead(VOCAB, VOCAB, embedding.table)
    assert [name for name, _ in head.named_parameters()] == ["bias"]
    assert list(head.state_dict()) == ["bias"]
    hidden = torch.randn(3, VOCAB)
    torch.testing.assert_close(head.log_probs(hidden), hidden.log_softmax(-1))


def test_stays_tied_when_loaded_moved_and_copied():
    one, other = model(SIZE), model(SIZE)
    with torch.no_grad():
        one.embedding.weight.add_(1)
    other.load_state_dict(one.state_dict())
    for each in (other, copy.deepcopy(other), copy.deepcopy(other).double()):
        assert each.head.table() is each.embedding.weight
        torch.testing.assert_close(each.embedding.weight.float(), one.embedding.weight)
    assert copy.deepcopy(other).head.table() is not other.head.table()


def test_smoothing_and_unigrams_are_those_of_linear():
    head = TiedHead(3, 3, OneHot(3).table, label_smoothing=0.1, unigram_bias=True)
    head.initialise(Facts(("a", "b", "c"), np.array([0, 5, 1])))
    log_probs = head.log_probs(torch.zeros(3))
    torch.testing.assert_close(log_probs.exp(), torch.tensor([1, 6, 2]) / 9)
    wanted = -0.9 * log_probs[1] - 0.1 * log_probs.mean()
    torch.testing.assert_close(head.loss(torch.zeros(3), torch.tensor(1)), wanted)
