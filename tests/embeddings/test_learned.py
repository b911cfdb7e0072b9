"""The embedding `learned`: a table that is a parameter."""

import torch

from seqgen.embeddings import LearnedEmbedding


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
