"""Spelling: each letter stands where its word does."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from seqgen.data.spelling import spelt


def tensors(rows):
    return [[torch.tensor(word, dtype=torch.long) for word in row] for row in rows]


def test_a_batch_as_it_is_written():
    letters, lengths = spelt(tensors([[[4, 5], [6]], [[7, 8, 9]]]))
    assert letters.tolist() == [[[4, 5, 0], [6, 0, 0]], [[7, 8, 9], [0, 0, 0]]]
    assert lengths.tolist() == [[2, 1], [3, 0]]


WORD = st.lists(st.integers(4, 9), max_size=5)


@given(st.lists(st.lists(WORD, max_size=4), max_size=4))
def test_every_word_comes_back(rows):
    letters, lengths = spelt(tensors(rows))
    assert letters.shape[:2] == lengths.shape == (len(rows), max([1, *map(len, rows)]))
    assert letters.shape[2] == max([1, *(len(word) for row in rows for word in row)])
    assert letters.dtype == lengths.dtype == torch.long
    for i, row in enumerate(rows):
        back = [letters[i, j, : lengths[i, j]].tolist() for j in range(len(row))]
        assert back == row
        assert not lengths[i, len(row) :].any()
    assert int((letters != 0).sum()) == int(lengths.sum())
