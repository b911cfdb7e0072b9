"""Rows of ids in one array: what lists of tensors are, in little memory."""

from itertools import chain

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from seqgen.data import flat_rows
from seqgen.data.batches import padded, shift_right
from seqgen.data.flat_rows import FlatRows, encoded_rows
from seqgen.testing.tokenizer import prose
from seqgen.tokenizers import EOS, tokenizers

rows = st.lists(st.lists(st.integers(0, 70_000), max_size=4), max_size=6)


@given(rows, st.data(), st.integers(1, 4), st.integers(0, 2))
def test_they_are_rows_of_tensors(lists, data, block, least):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(flat_rows, "_BLOCK", block)
        tensors = [torch.tensor(row, dtype=torch.long) for row in lists]
        flat = FlatRows.of(iter(tensors))
    assert [row.tolist() for row in flat] == lists
    assert all(row.dtype == torch.int64 for row in flat)
    assert (len(flat), flat.lengths.tolist()) == (len(lists), [*map(len, lists)])
    assert flat.ids.dtype == np.min_scalar_type(max([0, *chain.from_iterable(lists)]))
    if lists:
        places = data.draw(st.lists(st.integers(0, len(lists) - 1), max_size=5))
        taken, some = flat.take(places), [tensors[place] for place in places]
        assert [row.tolist() for row in taken] == [row.tolist() for row in some]
        for one, other in zip(padded(taken, least), padded(some, least), strict=True):
            assert one.dtype == other.dtype
            assert torch.equal(one, other)
        if places:
            assert torch.equal(shift_right(taken), shift_right(some))


@pytest.mark.parametrize("end", [True, False])
@pytest.mark.parametrize("alpha", [None, 0.5])
def test_texts_are_encoded_as_they_are_one_by_one(end, alpha, monkeypatch):
    monkeypatch.setattr(flat_rows, "_BLOCK", 2)
    spec = {"name": "sentencepiece", "vocab_size": 290, "sampling_alpha": alpha}
    tokenizer, texts = tokenizers.build(spec), ["the cat", "", "sat on", "a mat", "the mat"]
    tokenizer.fit([prose(1)])
    seeds = [None] * 5 if alpha is None else [1, 2, 3, 4, 5]
    found = [row.tolist() for row in encoded_rows(tokenizer, texts, seeds, end=end)]
    both = zip(texts, seeds, strict=True)
    one_by_one = [tokenizer.encode(t) if s is None else tokenizer.sample(t, s) for t, s in both]
    assert found == [[*row.tolist(), *[EOS] * end] for row in one_by_one]


def test_of_nothing():
    none = encoded_rows(tokenizers.build("byte"), [], [])
    assert (len(none), [*none]) == (0, [])
    assert FlatRows.of([]).padded()[0].shape == (0, 0)
