"""What sacrebleu counts in each answer."""

import pytest
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from seqgen.metrics.sacrebleu_counts import counts, signature


def test_of_bleu_lengths_and_ngrams(answers):
    """`a b c` is in both; the second reference is as long as the output."""
    rows = answers(("a b c d e", "a b c", "x a b c y"), ("", "a"))
    assert counts(BLEU(), rows).tolist() == [[5, 5, 3, 2, 1, 0, 5, 4, 3, 2], [0, 1] + [0] * 8]


def test_of_chrf_ngrams_of_both_sides_and_in_both(answers):
    """An n-gram that is too long for the reference does not count in the output."""
    found = counts(CHRF(char_order=3), answers(("abc", "ab", "xyz")))
    assert found.tolist() == [[3, 2, 2, 2, 1, 1, 0, 0, 0]]


def test_so_many_at_once_change_nothing(answers, monkeypatch):
    rows = answers(("a b c", "a b"), ("a", "a", "a b"), ("b c d", "b c", "c", "b c d"))
    wanted = [counts(each, rows).tolist() for each in (BLEU(), CHRF())]
    monkeypatch.setattr("seqgen.metrics.sacrebleu_counts.AT_ONCE", 2)
    assert [counts(each, rows).tolist() for each in (BLEU(), CHRF())] == wanted


@pytest.mark.parametrize("references", [[1, 1, 1], [2, 2], [1, 3, 1]])
def test_the_signature_is_that_of_all_answers(references, answers):
    rows = answers(*(("a b", *(f"a {i}" for i in range(count))) for count in references))
    number = references[0] if len(set(references)) == 1 else "var"
    assert signature(CHRF(), rows).startswith(f"nrefs:{number}|case:mixed|")
