"""Error rates by edits."""

import math
import subprocess
import sys

import pytest
import sacrebleu
from hypothesis import given, settings
from hypothesis import strategies as st
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from seqgen.metrics import (
    Answer,
    Bleu,
    CharacterErrorRate,
    Chrf,
    ExactMatch,
    PhonemeErrorRate,
    WordErrorRate,
)
from seqgen.metrics.strings import counts, nearest, signature, streams


def error_rate(answers):
    """Of characters."""
    return CharacterErrorRate().measure(answers)


@pytest.mark.parametrize(
    ("output", "references", "wanted"),
    [
        ("kitten", ["sitting"], (3, 7)),
        ("", ["abc"], (3, 3)),
        ("abc", [""], (3, 0)),
        ("", [""], (0, 0)),
        ("abcd", ["xyzabcd", "abd", "abxx"], (1, 3)),
        (["a", "b", "c"], [["a", "c"], ["d", "e"]], (1, 2)),
        (["ab", "c"], [["a", "bc"]], (2, 2)),
    ],
)
def test_the_nearest_reference(output, references, wanted):
    assert nearest(output, references) == wanted


@pytest.mark.parametrize("references", [["abcde", "abc"], ["abc", "abcde"]])
def test_of_equally_near_ones_the_longest(references):
    assert nearest("abcd", references) == (1, 5)


def test_edits_and_lengths_are_summed_before_they_are_divided(answers):
    """The mean of the rates would be (1/2 + 1/8) / 2."""
    found = error_rate(answers(("ax", "ab"), ("abcdefgx", "abcdefgh")))
    assert found == (0.2, {"edits": 2, "reference_length": 10})


def test_a_rate_can_exceed_1(answers):
    assert error_rate(answers(("abcdef", "a"))).value == 5.0


def test_where_all_references_are_empty_it_is_the_number_of_edits(answers):
    assert error_rate(answers(("", ""), ("", ""))).value == 0.0
    found = error_rate(answers(("ab", ""), ("c", "")))
    assert found == (3.0, {"edits": 3, "reference_length": 0})


def recursive(one, other):
    """The distance by its definition."""
    if not one or not other:
        return len(one) + len(other)
    return min(
        recursive(one[1:], other) + 1,
        recursive(one, other[1:]) + 1,
        recursive(one[1:], other[1:]) + (one[0] != other[0]),
    )


WORDS = st.lists(st.sampled_from(["a", "bb", "a" * 70, "é"]), max_size=5)


@given(WORDS, WORDS)
@settings(deadline=None, max_examples=50)
def test_it_is_the_least_number_of_edits(one, other):
    assert nearest(one, [other]) == (recursive(one, other), len(other))


@given(st.text("ab", max_size=6), st.permutations(["ab", "", "bbb", "aab", "abab"]))
def test_the_order_of_references_does_not_matter(output, references):
    wanted = error_rate([Answer("", output, ("ab", "", "bbb", "aab", "abab"))])
    assert error_rate([Answer("", output, tuple(references))]) == wanted


# What sacrebleu counts in each answer.


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
    monkeypatch.setattr("seqgen.metrics.strings.AT_ONCE", 2)
    assert [counts(each, rows).tolist() for each in (BLEU(), CHRF())] == wanted


@pytest.mark.parametrize("references", [[1, 1, 1], [2, 2], [1, 3, 1]])
def test_the_signature_is_that_of_all_answers(references, answers):
    rows = answers(*(("a b", *(f"a {i}" for i in range(count))) for count in references))
    number = references[0] if len(set(references)) == 1 else "var"
    assert signature(CHRF(), rows).startswith(f"nrefs:{number}|case:mixed|")


# Answers as streams.


def test_a_stream_for_each_reference(answers):
    rows = answers(("a", "b"), ("c", "d", "", "e"), ("f", "g", "h"))
    outputs, references = streams(rows)
    assert outputs == ["a", "c", "f"]
    assert references == [("b", "d", "g"), (None, "", "h"), (None, "e", None)]


# The metric `bleu`.


CORPUS = [
    ("The dog bit the man.", "The dog bit the man.", "The dog had bit the man."),
    ("It wasn't surprising.", "It was not unexpected.", "No one was surprised."),
    ("The man had just bitten him.", "The man bit him first.", "The man had bitten the dog."),
    ('He said: "no", and left (at 3.14 p.m.)', 'He said "no" and left at 3.14 p.m.', "He left."),
    ("", "Nothing.", "Not a thing."),
]


def test_the_formula(answers):
    found = Bleu().measure(answers(("the cat sat on the mat", "the cat sat on a mat")))
    shares = [5 / 6, 3 / 5, 2 / 4, 1 / 3]
    assert found.value == pytest.approx(100 * math.prod(shares) ** (1 / 4))
    assert found.details["precisions"] == pytest.approx([100 * share for share in shares])
    assert found.details["brevity_penalty"] == 1.0


def test_short_outputs_are_punished(answers):
    found = Bleu().measure(answers(("the cat sat on", "the cat sat on the mat")))
    assert found.value == pytest.approx(100 * math.exp(1 - 6 / 4))
    assert found.details["brevity_penalty"] == pytest.approx(math.exp(1 - 6 / 4))
    assert (found.details["output_length"], found.details["reference_length"]) == (4, 6)


def test_an_n_without_a_match_counts_as_half_a_match_then_a_quarter(answers):
    found = Bleu().measure(answers(("a b x c d", "a b y c d")))
    assert found.value == pytest.approx(100 * (4 / 5 * 2 / 4 * 0.5 / 3 * 0.25 / 2) ** (1 / 4))


@pytest.mark.parametrize("options", [{}, {"lowercase": True}, {"tokenize": "char"}])
def test_it_is_what_sacrebleu_says(options, answers):
    outputs, *references = (list(column) for column in zip(*CORPUS, strict=True))
    wanted = sacrebleu.corpus_bleu(outputs, references, **options)
    found = Bleu(**options).measure(answers(*CORPUS))
    assert found.value == pytest.approx(wanted.score)
    assert found.details["precisions"] == wanted.precisions
    assert found.details["brevity_penalty"] == wanted.bp


def test_as_many_references_as_there_are(answers):
    """As if the missing ones were the first once more."""
    uneven = [row[:2] if i % 2 else row for i, row in enumerate(CORPUS)]
    even = [(row[0], row[1], row[-1]) for row in uneven]
    found, wanted = Bleu().measure(answers(*uneven)), Bleu().measure(answers(*even))
    assert found.value == wanted.value > 0
    assert found.details["signature"].startswith("nrefs:var|")
    assert wanted.details["signature"].startswith("nrefs:2|")


def test_the_signature_says_how(answers):
    found = Bleu(tokenize="intl", lowercase=True).measure(answers(*CORPUS))
    version = sacrebleu.__version__
    wanted = f"nrefs:2|case:lc|eff:no|tok:intl|smooth:exp|version:{version}"
    assert found.details["signature"] == wanted


@pytest.mark.parametrize("tokenize", ["13a", "intl", "zh", "char", "none"])
def test_right_outputs_have_100(tokenize, answers):
    rows = answers(*((row[1], *row[1:]) for row in CORPUS[:-1]))
    assert Bleu(tokenize=tokenize).measure(rows).value == 100.0


@pytest.mark.parametrize("row", [("a b c", "a b c"), ("", ""), ("", "a b c d"), ("a b c d", "")])
def test_it_is_0_below_four_words_and_where_nothing_matches(row, answers):
    assert Bleu().measure(answers(row)).value == 0.0


def test_texts_that_are_split_already_are_measured_without_a_remark(answers, caplog):
    Bleu().measure(answers(*[("i am cold .", "i am cold .")] * 200))
    assert not caplog.records


def test_an_unknown_tokenizer_is_a_value_error():
    with pytest.raises(ValueError, match=r"`tokenize` must be one of 13a, .* but is 'flores200'"):
        Bleu(tokenize="flores200")


def test_sacrebleu_is_not_imported_before_it_is_needed():
    code = "import sys, seqgen.metrics; print('sacrebleu' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


# The metric `chrf`.


def test_the_formula_chrf(answers):
    """Of `ab` all is in `abc`, which has 2 of 3 letters and 1 of 2 pairs in it; 3 are too long."""
    recall = (2 / 3 + 1 / 2) / 2
    found = Chrf().measure(answers(("ab", "abc")))
    assert found.value == pytest.approx(100 * 5 * recall / (4 + recall))
    assert found.details["name"] == "chrF2"


def test_spaces_do_not_count(answers):
    assert Chrf().measure(answers(("a bc d", "ab cd"))).value == 100.0
    assert Chrf(word_order=1).measure(answers(("a bc d", "ab cd"))).value < 100.0


@pytest.mark.parametrize("word_order", [0, 1, 2])
def test_it_is_what_sacrebleu_says_chrf(word_order, answers):
    rows = [
        ("The dog bit the man.", "The dog bit the man.", "The dog had bit the man."),
        ("It wasn't surprising.", "It was not unexpected.", "No one was surprised."),
        ("", "Nothing.", "Not a thing."),
    ]
    outputs, *references = (list(column) for column in zip(*rows, strict=True))
    wanted = sacrebleu.corpus_chrf(outputs, references, word_order=word_order)
    found = Chrf(word_order=word_order).measure(answers(*rows))
    assert found.value == wanted.score
    assert found.details["name"] == "chrF2" + "+" * word_order
    version = sacrebleu.__version__
    wanted = f"nrefs:2|case:mixed|eff:yes|nc:6|nw:{word_order}|space:no|version:{version}"
    assert found.details["signature"] == wanted


def test_the_best_reference_counts(answers):
    rows = answers(("abcd", "wxyz", "abcd"), ("efgh", "efgh"))
    found = Chrf().measure(rows)
    assert found.value == 100.0
    assert found.details["signature"].startswith("nrefs:var|")


def test_case_can_be_ignored(answers):
    assert Chrf().measure(answers(("ABC", "abc"))).value == 0.0
    assert Chrf(lowercase=True).measure(answers(("ABC", "abc"))).value == 100.0


@pytest.mark.parametrize("row", [("", ""), ("", "a"), ("a", ""), (" ", " ")])
def test_it_is_0_where_one_side_is_empty(row, answers):
    assert Chrf().measure(answers(row)).value == 0.0


def test_other_word_orders_are_a_value_error():
    with pytest.raises(ValueError, match="`word_order` must be 0, 1 or 2, but is 3"):
        Chrf(word_order=3)


# The metric `character_error_rate`.


def test_edits_over_characters(answers):
    rows = answers(("sitting", "kitten"), ("2026-01-02", "2026-01-03", "2025-01-03"))
    found = CharacterErrorRate().measure(rows)
    assert found == (4 / 16, {"edits": 4, "reference_length": 16})


def test_a_space_is_a_character(answers):
    assert CharacterErrorRate().measure(answers(("ab", "a b"))).value == 1 / 3


def test_a_combining_accent_is_one_too(answers):
    found = CharacterErrorRate().measure(answers(("e", "e\u0301")))
    assert found == (0.5, {"edits": 1, "reference_length": 2})


# The metric `phoneme_error_rate`.


def test_edits_over_phonemes(answers):
    """One replaced, one too many, one missing; the second is nearer to its second reference."""
    rows = answers(
        ("K AE D", "K AE T"),
        ("R EH D Z", "R IY D", "R EH D"),
        ("T AH M EY T", "T AH M EY T OW"),
        ("HH AW S", "HH AW S"),
    )
    found = PhonemeErrorRate().measure(rows)
    assert found == (3 / 15, {"edits": 3, "reference_length": 15})


def test_a_phoneme_is_one_however_it_is_spelt(answers):
    assert PhonemeErrorRate().measure(answers(("tʃ e", "ts e"))).value == 0.5


def test_spaces_separate_and_are_no_more(answers):
    assert PhonemeErrorRate().measure(answers((" a  b ", "a b"))).value == 0.0


# The metric `word_error_rate`.


def test_a_word_is_right_or_wrong_as_a_whole(answers):
    rows = answers(
        ("T AH M EY T OW", "T AH M EY T OW", "T AH M AA T OW"),
        ("R EH D", "R IY D", "R EH D"),
        ("K AE T S", "K AE T"),
        ("D AO G", "D AA G", "D AO G"),
    )
    found = WordErrorRate().measure(rows)
    assert found == (0.25, {"wrong": 1, "words": 4})
    assert found.value == 1 - ExactMatch().measure(rows).value


# The metric `exact_match`.


def test_any_reference_will_do(answers):
    rows = answers(("a b", "a b"), ("c", "x", "c"), ("a", "a b"), ("d", "D"))
    found = ExactMatch().measure(rows)
    assert found == (0.5, {"correct": 2, "answers": 4})


def test_spaces_count(answers):
    assert ExactMatch().measure(answers(("a  b", "a b"), ("a ", "a"))).value == 0.0


def test_nothing_can_be_right(answers):
    assert ExactMatch().measure(answers(("", ""), ("", "a"))).value == 0.5
