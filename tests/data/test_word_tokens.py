"""The tokens of words: one for each, and their letters where the word stands."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from seqgen.data.word_tokens import letters_of, one_each, padded_letters, padded_words
from seqgen.errors import DataError
from seqgen.tokenizers import UNK, CharTokenizer, WholeTokenizer, WordTokenizer

ABC = CharTokenizer(alphabet="abc")


def whole(*texts):
    made = WholeTokenizer()
    made.fit(texts)
    return made


def test_each_word_is_one_token():
    made = one_each([["b", "new york", "?"], [], ["b"]], whole("b", "b", "new york"), "source")
    assert [row.tolist() for row in made] == [[4, 5, UNK], [], [4]]
    assert {row.dtype for row in made} == {torch.int64}


@pytest.mark.parametrize(("word", "count"), [("ab", 2), ("", 0)])
def test_a_word_that_is_cut_up_is_refused(word, count):
    with pytest.raises(DataError) as caught:
        one_each([["a"], ["b", word]], ABC, "source")
    assert str(caught.value) == (
        "the tokenizer of `source` must give one token for each word, but gives "
        f"{count} for {word!r}; the tokenizer `whole` gives one"
    )


def test_what_a_tokenizer_refuses_is_one_line():
    strict = WordTokenizer(unk="error")
    with pytest.raises(DataError, match=r"^the tokenizer of `target`: `text` must be of known"):
        one_each([["a"]], strict, "target")


@pytest.mark.parametrize(
    ("most", "letters"), [(None, [[[4, 5, 6], [4]], [[4, 5, 6]]]), (2, [[[4, 5], [4]], [[4, 5]]])]
)
def test_letters_are_those_of_each_word(most, letters):
    made = letters_of([["abc", "a"], ["abc"]], ABC, most)
    assert [[word.tolist() for word in row] for row in made] == letters


def test_rows_without_words_have_a_place():
    tokens, lengths = padded_words([torch.tensor([], dtype=torch.long)] * 2)
    assert tokens.tolist() == [[0], [0]]
    assert lengths.tolist() == [0, 0]
    tokens, lengths = padded_words([torch.tensor([5, 6]), torch.tensor([7])])
    assert tokens.tolist() == [[5, 6], [7, 0]]
    assert padded_words([])[0].shape == (0, 1)


def tensors(rows):
    return [[torch.tensor(word, dtype=torch.long) for word in row] for row in rows]


def test_letters_as_they_are_written():
    letters, lengths = padded_letters(tensors([[[4, 5], [6]], [[7, 8, 9]]]))
    assert letters.tolist() == [[[4, 5, 0], [6, 0, 0]], [[7, 8, 9], [0, 0, 0]]]
    assert lengths.tolist() == [[2, 1], [3, 0]]


WORD = st.lists(st.integers(4, 9), max_size=5)


@given(st.lists(st.lists(WORD, max_size=4), max_size=4))
def test_the_letters_of_every_word_come_back(rows):
    letters, lengths = padded_letters(tensors(rows))
    assert letters.shape[:2] == lengths.shape == (len(rows), max([1, *map(len, rows)]))
    assert letters.shape[2] == max([1, *(len(word) for row in rows for word in row)])
    assert letters.dtype == lengths.dtype == torch.long
    for i, row in enumerate(rows):
        back = [letters[i, j, : lengths[i, j]].tolist() for j in range(len(row))]
        assert back == row
        assert not lengths[i, len(row) :].any()
    assert int((letters != 0).sum()) == int(lengths.sum())
