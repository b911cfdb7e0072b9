"""The embedding `one_hot`: unit vectors, nothing learned, nothing saved."""

import torch

from seqgen.embeddings import OneHot


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
