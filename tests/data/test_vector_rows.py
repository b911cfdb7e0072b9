"""Rows of a vector and a text: batches, and vectors as a person writes them."""

import re

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from seqgen.data import Example
from seqgen.data.line_rows import Line
from seqgen.data.row_files import Part
from seqgen.data.vector_rows import VectorRow, encode_texts, examples_of, vector_of, written
from seqgen.tokenizers import BOS, EOS, CharTokenizer

AB = CharTokenizer(alphabet="ab")


def rows(*pairs):
    made = [(Line(i, text), torch.tensor(numbers)) for i, (text, numbers) in enumerate(pairs, 1)]
    return [VectorRow(*pair) for pair in made]


THREE = rows(("ab", [1.0, 0.5]), ("", [2.0, -1.0]), ("bab", [1.0, 0.5]))


def test_a_batch_as_it_is_written():
    batch = encode_texts(Part("f", THREE), AB).batched().collate([2, 1])
    assert batch.sources.values.tolist() == [[1.0, 0.5], [2.0, -1.0]]
    assert batch.sources.values.dtype == torch.float32
    assert batch.sources.lengths.tolist() == [1, 1]
    assert batch.inputs.tolist() == [[BOS, 5, 4, 5], [BOS, 0, 0, 0]]
    assert batch.targets.tolist() == [[5, 4, 5, EOS], [EOS, 0, 0, 0]]
    assert batch.lengths.tolist() == [4, 1]
    assert batch.numbers.tolist() == [2, 1]
    assert batch.tokens == 5


def test_rows_that_are_left_out_take_their_vectors_along():
    kept, remark = encode_texts(Part("f", THREE), AB).within(2, "f")
    batch = kept.batched().collate([0, 1])
    assert batch.sources.values.tolist() == [[1.0, 0.5], [2.0, -1.0]]
    assert batch.lengths.tolist() == [3, 1]
    assert remark.startswith("f: 1 of 3 lines are longer than 2 tokens")


def test_examples_have_each_vector_once():
    again = rows(("ab", [0.1, 0.5]), ("x", [2.0, 3e-5]), ("b", [0.1, 0.5]), ("ab", [0.1, 0.5]))
    assert examples_of(again) == (Example("0.1 0.5", ("ab", "b")), Example("2.0 3e-05", ("x",)))


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1))
def test_what_is_written_is_read(numbers):
    vector = torch.tensor(numbers, dtype=torch.float32)
    back = vector_of(written(vector), len(numbers))
    assert back.numpy().tobytes() == vector.numpy().tobytes()


def test_a_person_may_write_numbers_as_they_like():
    assert vector_of("  1 -.5\t1e2 ", 3).tolist() == [1.0, -0.5, 100.0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 2", "but has 2 words"),
        ("1 2 3 4", "but has 4 words"),
        ("1, 2, 3", "but: could not convert string to float: '1,'"),
        ("1 nan 3", "but 'nan' is no finite float32"),
        ("1 2 1e39", "but '1e39' is no finite float32"),
    ],
)
def test_what_is_no_vector_is_refused(text, message):
    whole = f"`text` must be 3 numbers with spaces between, {message}"
    with pytest.raises(ValueError, match=f"^{re.escape(whole)}$"):
        vector_of(text, 3)
