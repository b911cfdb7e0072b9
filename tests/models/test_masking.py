"""Masking: what is behind a row's length does not count, whatever it is."""

import torch

from seqgen.models.masking import real

LENGTHS = torch.tensor([0, 2, 3])


def test_zeros_stand_behind_each_length():
    found = real(torch.ones(3, 3), LENGTHS)
    assert found.tolist() == [[0, 0, 0], [1, 1, 0], [1, 1, 1]]


def test_hits_and_tokens_are_masked_as_nats_are():
    assert real(torch.ones(3, 3, dtype=torch.bool), LENGTHS).sum(1).tolist() == [0, 2, 3]
    assert real(torch.full((3, 3), 7), LENGTHS)[1].tolist() == [7, 7, 0]


def test_without_lengths_all_counts():
    values = torch.ones(2, 3)
    assert real(values, None) is values


def test_nothing_flows_back_from_padding_not_even_nan():
    values = torch.tensor([[1.0, float("nan")], [float("inf"), 2.0]], requires_grad=True)
    total = real(values, torch.tensor([1, 0])).sum()
    total.backward()
    assert total.item() == 1
    assert values.grad.tolist() == [[1, 0], [0, 0]]
