"""The embedding `pretrained`: rows from a file, the others random."""

import numpy as np
import pytest
import torch

from seqgen.embeddings import PretrainedEmbedding
from seqgen.errors import DataError
from seqgen.tokenizers import SPECIALS, Facts


@pytest.fixture
def path(tmp_path):
    made = tmp_path / "vectors.txt"
    made.write_text("the 1 2 3\ncat 4 5 6\nThe 7 8 9\n<unk> 3 2 1\nthe 0 0 0\n", encoding="utf-8")
    return made


def facts(*pieces, counts=None):
    return Facts((*SPECIALS, *pieces), None if counts is None else np.array(counts))


def begun(path, known, **options):
    made = PretrainedEmbedding(len(known.pieces), path, **options)
    with pytest.warns(UserWarning, match="vectors for") as caught:
        made.initialise(known)
    return made, str(caught[0].message)


def test_tokens_are_found_as_they_are_then_plain_then_in_lower_case(path):
    made, _ = begun(path, facts("The", "THE", " cat", " ", "dog"))
    rows = made.table().tolist()
    assert made.output_size == 3
    assert rows[3:7] == [[3, 2, 1], [7, 8, 9], [1, 2, 3], [4, 5, 6]]


def test_the_others_are_random_with_the_same_deviation(path):
    torch.manual_seed(1)
    known = facts("the", "cat", *(f"unknown {i}" for i in range(3000)))
    made, _ = begun(path, known)
    wanted = float(torch.tensor([[1.0, 2, 3], [4, 5, 6], [3, 2, 1]]).std(correction=0))
    assert float(made.table()[6:].detach().std()) == pytest.approx(wanted, rel=0.03)


def test_it_is_said_how_many_there_are(path):
    _, told = begun(path, facts("the", "dog", "cat", counts=[0, 0, 0, 3, 90, 5, 2]))
    text = "vectors for 2 of 3 tokens (66.7%), 92.0% of the training text; 1 that came again were"
    assert told == f"{path}: {text} left out"
    _, told = begun(path, facts("cat", "dog"))
    assert told == f"{path}: vectors for 1 of 2 tokens (50.0%)"


def test_a_file_for_other_texts_is_refused(path):
    path.write_text("chat 1 2\n", encoding="utf-8")
    made = PretrainedEmbedding(5, path)
    with pytest.raises(DataError, match="has no vector for any token of the vocabulary"):
        made.initialise(facts("cat"))


def test_the_size_is_checked(path):
    made = PretrainedEmbedding(5, path, size=4)
    with pytest.raises(DataError, match="the vectors are of 3 numbers, not of 4"):
        made.initialise(facts("cat"))


def test_with_a_size_a_trained_model_needs_no_file(path):
    made, _ = begun(path, facts("the", "cat"))
    other = PretrainedEmbedding(6, path.with_name("gone"), size=3)
    other.load_state_dict(made.state_dict())
    assert torch.equal(other.table(), made.table())
    with pytest.raises(DataError, match="gone: cannot be read"):
        PretrainedEmbedding(6, path.with_name("gone"))


def test_may_be_kept_as_it_is(path):
    made, _ = begun(path, facts("the"), trainable=False)
    assert not list(made.parameters())
    assert list(made.state_dict()) == ["weight"]
    assert made(torch.tensor([4])).tolist() == [[1, 2, 3]]
