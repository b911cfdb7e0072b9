"""Rows of different length: what is real, when lengths matter, and rows backwards."""

import torch

from seqgen.encoders.rows import real_tokens, reverse, unless_full


def test_tokens_are_real_up_to_the_end_of_their_row():
    found = real_tokens(torch.tensor([0, 3, 2]), 3)
    assert found.tolist() == [[False] * 3, [True] * 3, [True, True, False]]


def test_lengths_matter_where_a_row_ends_early():
    lengths = torch.tensor([4, 4, 3])
    assert unless_full(lengths, 4) is lengths
    assert unless_full(lengths[:2], 4) is None
    assert unless_full(lengths[:2], 5) is not None
    assert unless_full(lengths[:0], 4) is None


ROWS = torch.tensor([[1, 2, 3, 8, 9], [1, 2, 3, 4, 5], [6, 7, 8, 9, 9], [1, 9, 9, 9, 9.0]])
LENGTHS = torch.tensor([3, 5, 0, 1])


def test_each_row_is_reversed_within_its_own_length():
    found = reverse(ROWS.unsqueeze(2), LENGTHS).squeeze(2)
    assert found.tolist() == [[3, 2, 1, 8, 9], [5, 4, 3, 2, 1], [6, 7, 8, 9, 9], [1, 9, 9, 9, 9]]


def test_without_lengths_all_of_each_row_is():
    assert reverse(ROWS.unsqueeze(2), None)[0].flatten().tolist() == [9, 8, 3, 2, 1]


def test_twice_is_as_before():
    vectors = torch.randn(4, 5, 3)
    for lengths in (LENGTHS, None):
        assert torch.equal(reverse(reverse(vectors, lengths), lengths), vectors)


def test_gradients_go_back_to_where_the_vectors_came_from():
    vectors = torch.zeros(4, 5, 1, requires_grad=True)
    (reverse(vectors, LENGTHS).squeeze(2) * ROWS).sum().backward()
    assert vectors.grad[0].flatten().tolist() == [3, 2, 1, 8, 9]


def test_there_may_be_no_rows_and_no_time():
    assert reverse(torch.zeros(0, 5, 2), LENGTHS[:0]).shape == (0, 5, 2)
    assert reverse(torch.zeros(4, 0, 2), torch.zeros(4, dtype=torch.long)).shape == (4, 0, 2)
