"""Facts about a vocabulary: one piece and one count for each id."""

import numpy as np
import pytest

from seqgen.tokenizers import CharTokenizer, gather_facts
from seqgen.tokenizers.facts import count_ids


def test_each_role_has_its_own():
    tokenizers = {"source": CharTokenizer(alphabet="ab"), "target": CharTokenizer(alphabet="c")}
    facts = gather_facts(tokenizers, {"target": np.array([0, 0, 0, 0, 7])})
    assert facts["source"].pieces == ("<pad>", "<bos>", "<eos>", "<unk>", "a", "b")
    assert facts["source"].counts is None
    assert facts["target"].counts.tolist() == [0, 0, 0, 0, 7]


def test_ids_that_were_never_seen_count_nothing():
    facts = gather_facts({"text": CharTokenizer(alphabet="ab")}, {"text": np.array([0, 0, 3])})
    assert facts["text"].counts.tolist() == [0, 0, 3, 0, 0, 0]


def test_counts_of_more_ids_than_there_are_are_refused():
    with pytest.raises(ValueError, match="of 'text' gave the id 5, but has 5 ids"):
        gather_facts({"text": CharTokenizer(alphabet="a")}, {"text": np.zeros(6, dtype=np.int64)})


@pytest.mark.parametrize(("wrong", "place"), [(-1, 2), (2**24, 1), (2**62, 3)])
def test_an_id_that_no_vocabulary_has_is_named_with_its_place(wrong, place):
    ids = np.array([4, 5, 6])
    ids[place - 1] = wrong
    with pytest.raises(ValueError, match=f"gave the id {wrong} for token {place} of the training"):
        count_ids(ids)
