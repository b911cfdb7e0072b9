"""What is read of each token: its embedding, and its letters beside it."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from seqgen.encoders.token_vectors import TokenVectors
from seqgen.options import OptionError
from seqgen.tokenizers import SPECIALS, Facts

LETTERS = {
    "name": "recurrent",
    "cell": {"name": "gru", "hidden_size": 5},
    "embedding": {"size": 2},
}


def made(letters=LETTERS, letters_size=8, embedding="learned", dropout=0.0):
    torch.manual_seed(1)
    embedding = {"name": embedding, **({"size": 3} if embedding == "learned" else {})}
    return TokenVectors(9, letters_size, embedding, letters, dropout)


def test_without_letters_they_are_the_embedding(sources):
    vectors, here = made(letters=None), sources()
    assert vectors.output_size == 3
    assert torch.equal(vectors(here), vectors.embedding(here.values))


def test_the_summary_of_the_letters_stands_behind_the_embedding(sources):
    vectors, here = made(), sources()
    found = vectors(here)
    assert vectors.output_size == found.shape[2] == 8
    assert torch.equal(found[..., :3], vectors.embedding(here.values))
    reader = vectors.letters
    for row, length in enumerate(here.lengths.tolist()):
        for place in range(length):
            size = here.letter_lengths[row, place]
            embedded = reader.vectors.embedding(here.letters[[row], place, :size])
            wanted = reader.cell(embedded)[0][0, -1] if size else torch.zeros(5)
            torch.testing.assert_close(found[row, place, 3:], wanted)
        assert not found[row, length:, 3:].any()


def test_what_is_spelt_alike_is_read_alike(sources):
    here = sources((2,))
    letters, sizes = here.letters.clone(), here.letter_lengths.clone()
    letters[0, 1], sizes[0, 1] = letters[0, 0], sizes[0, 0]
    one, other = made()(replace(here, letters=letters, letter_lengths=sizes))[0, :, 3:]
    torch.testing.assert_close(one, other)


def test_dropout_falls_on_both(sources):
    vectors = made(dropout=0.5).train()
    zeros = (vectors(sources((6,) * 40)) == 0).float().mean((0, 1))
    # Two in five tokens have no or few letters; of the other numbers a half is gone.
    assert zeros[:3].sub(0.5).abs().max() < 0.15
    assert zeros[3:].min() > 0.4


def test_letters_that_no_source_has_are_refused():
    message = "`letters` needs a source whose tokens are spelt, but this one has no letters"
    with pytest.raises(ValueError, match=message):
        made(letters_size=None)


def test_a_batch_without_letters_is_refused(sources):
    bare = replace(sources(), letters=None, letter_lengths=None)
    with pytest.raises(ValueError, match="`sources` must have the letters of each token"):
        made()(bare)


def test_what_reads_letters_needs_tokens_too():
    with pytest.raises(OptionError, match="encoder 'vector' needs a `vector_size`"):
        made(letters="vector")


def test_a_new_run_tells_each_embedding_of_its_own_vocabulary(tmp_path):
    words, marks = tmp_path / "words.txt", tmp_path / "marks.txt"
    words.write_text("cat 1 2 3\n", encoding="utf-8")
    marks.write_text("c 4 5\n", encoding="utf-8")
    letters = {**LETTERS, "embedding": {"name": "pretrained", "path": str(marks)}}
    embedding = {"name": "pretrained", "path": str(words)}
    vectors = TokenVectors(5, 5, embedding, letters, 0.0)
    counts = np.ones(5, dtype=np.int64)
    facts = {
        "source": Facts((*SPECIALS, "cat"), counts),
        "letters": Facts((*SPECIALS, "c"), counts),
        "target": Facts((*SPECIALS, "dog"), counts),
    }
    with pytest.warns(UserWarning, match="vectors for 1 of 1 tokens"):
        vectors.initialise(facts)
    assert vectors.embedding.table()[4].tolist() == [1, 2, 3]
    assert vectors.letters.vectors.embedding.table()[4].tolist() == [4, 5]
