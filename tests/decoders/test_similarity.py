"""How alike sequences are."""

import itertools

import pytest

from seqgen.decoders.similarity import edit, ngram_f

SEQUENCES = [
    tuple(each) for length in range(4) for each in itertools.product((0, 1, 7), repeat=length)
]


def distance(one, other):
    """Levenshtein's, by its recursion."""
    if not one or not other:
        return len(one) + len(other)
    replaced = distance(one[1:], other[1:]) + (one[0] != other[0])
    return min(replaced, distance(one[1:], other) + 1, distance(one, other[1:]) + 1)


def test_edit_is_levenshteins():
    for one, other in itertools.product(SEQUENCES[::2], SEQUENCES[::3]):
        wanted = 1 - distance(one, other) / max(len(one), len(other), 1)
        assert edit(one, other) == pytest.approx(wanted)


@pytest.mark.parametrize("similarity", [edit, ngram_f])
def test_it_is_symmetric_from_0_to_1_and_1_for_equals_alone(similarity):
    for one, other in itertools.product(SEQUENCES, repeat=2):
        value = similarity(one, other)
        assert 0 <= value <= 1
        assert value == pytest.approx(similarity(other, one))
        assert (value > 1 - 1e-12) == (one == other)


def test_ngram_f_by_hand():
    # 1-grams: 3 of 4 and 3 of 3; 2-grams: 1 of 3 and 1 of 2; 3-grams: 0 of 2 and 0 of 1; 4: 0 of 1
    precision, recall = (3 / 4 + 1 / 3) / 4, (3 / 3 + 1 / 2) / 4
    wanted = 2 * precision * recall / (precision + recall)
    assert ngram_f((5, 6, 9, 7), (7, 5, 6)) == pytest.approx(wanted)


def test_large_tokens_are_themselves():
    assert edit((100_000, 5), (100_001, 5)) == 0.5
    assert ngram_f((2**40,), (2**41,)) == 0
