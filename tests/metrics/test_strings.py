"""Metrics of texts: error rates by edits, BLEU and chrF by sacrebleu, equality."""

import math
import subprocess
import sys

import pytest
import sacrebleu
from hypothesis import given, settings
from hypothesis import strategies as st

from seqgen.metrics import (
    Answer,
    Bleu,
    CharacterErrorRate,
    Chrf,
    ExactMatch,
    PhonemeErrorRate,
    WordErrorRate,
    metrics,
)
from seqgen.metrics.strings import nearest, streams
from seqgen.options import OptionError

CORPUS = [
    ("The dog bit the man.", "The dog bit the man.", "The dog had bit the man."),
    ("It wasn't surprising.", "It was not unexpected.", "No one was surprised."),
    ("The man had just bitten him.", "The man bit him first.", "The man had bitten the dog."),
    ('He said: "no", and left (at 3.14 p.m.)', 'He said "no" and left at 3.14 p.m.', "He left."),
    ("", "Nothing.", "Not a thing."),
]


@pytest.mark.parametrize(
    ("output", "references", "wanted"),
    [
        ("kitten", ["sitting"], (3, 7)),
        ("", ["abc"], (3, 3)),
        ("abc", [""], (3, 0)),
        ("", [""], (0, 0)),
        ("abcd", ["xyzabcd", "abd", "abxx"], (1, 3)),
        ("abcd", ["abcde", "abc"], (1, 5)),  # of equally near ones the longest
        ("abcd", ["abc", "abcde"], (1, 5)),
        (["a", "b", "c"], [["a", "c"], ["d", "e"]], (1, 2)),
        (["ab", "c"], [["a", "bc"]], (2, 2)),
    ],
)
def test_the_nearest_reference(output, references, wanted):
    assert nearest(output, references) == wanted


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
@settings(max_examples=50)
def test_a_distance_is_the_least_number_of_edits(one, other):
    assert nearest(one, [other]) == (recursive(one, other), len(other))


@given(st.text("ab", max_size=6), st.permutations(["ab", "", "bbb", "aab", "abab"]))
def test_the_order_of_references_does_not_matter(output, references):
    both = (("ab", "", "bbb", "aab", "abab"), tuple(references))
    one, other = (CharacterErrorRate().measure([Answer("", output, each)]) for each in both)
    assert one == other


@pytest.mark.parametrize(
    ("metric", "rows", "edits", "length"),
    [
        # Summed before they are divided: the mean of the rates would be (1/2 + 1/8) / 2.
        (CharacterErrorRate, [("ax", "ab"), ("abcdefgx", "abcdefgh")], 2, 10),
        (CharacterErrorRate, [("abcdef", "a")], 5, 1),
        (CharacterErrorRate, [("", ""), ("", "")], 0, 0),
        (CharacterErrorRate, [("ab", ""), ("c", "")], 3, 0),  # then it is the number of edits
        (
            CharacterErrorRate,
            [("sitting", "kitten"), ("2026-01-02", "2026-01-03", "2025-01-03")],
            *(4, 16),
        ),
        (CharacterErrorRate, [("ab", "a b")], 1, 3),
        (CharacterErrorRate, [("e", "e\u0301")], 1, 2),  # a combining accent is a character
        (
            PhonemeErrorRate,  # one replaced, one too many, one missing
            [
                ("K AE D", "K AE T"),
                ("R EH D Z", "R IY D", "R EH D"),
                ("T AH M EY T", "T AH M EY T OW"),
                ("HH AW S", "HH AW S"),
            ],
            *(3, 15),
        ),
        (PhonemeErrorRate, [("tʃ e", "ts e")], 1, 2),  # one however it is spelt
        (PhonemeErrorRate, [(" a  b ", "a b")], 0, 2),
    ],
)
def test_edits_over_the_length_of_references(metric, rows, edits, length, answers):
    found = metric().measure(answers(*rows))
    assert found == (edits / max(length, 1), {"edits": edits, "reference_length": length})


def test_a_text_is_right_or_wrong_as_a_whole(answers):
    rows = answers(
        ("T AH M EY T OW", "T AH M EY T OW", "T AH M AA T OW"),
        ("R EH D", "R IY D", "R EH D"),
        ("K AE T S", "K AE T"),
        ("D AO G", "D AA G", "D AO G"),
    )
    assert WordErrorRate().measure(rows) == (0.25, {"wrong": 1, "words": 4})
    assert ExactMatch().measure(rows) == (0.75, {"correct": 3, "answers": 4})
    rows = answers(("a  b", "a b"), ("a ", "a"), ("d", "D"), ("", "a"), ("", ""))
    assert ExactMatch().measure(rows).value == 1 / 5


def test_sacrebleu_gets_a_stream_for_each_reference(answers, monkeypatch):
    rows = answers(("a", "b"), ("c", "d", "", "e"), ("f", "g", "h"))
    outputs, references = streams(rows)
    assert outputs == ["a", "c", "f"]
    assert references == [("b", "d", "g"), (None, "", "h"), (None, "e", None)]
    wanted = [metric.statistics(rows).tolist() for metric in (Bleu(), Chrf())]
    monkeypatch.setattr("seqgen.metrics.strings.AT_ONCE", 2)
    assert [metric.statistics(rows).tolist() for metric in (Bleu(), Chrf())] == wanted


def test_statistics_are_lengths_and_ngrams(answers):
    """`a b c` is in both; the second reference is as long as the output. For chrF an n-gram that is
    too long for the reference does not count in the output."""
    rows = answers(("a b c d e", "a b c", "x a b c y"), ("", "a"))
    wanted = [[5, 5, 3, 2, 1, 0, 5, 4, 3, 2], [0, 1] + [0] * 8]
    assert Bleu().statistics(rows).tolist() == wanted
    [found] = Chrf().statistics(answers(("abc", "ab", "xyz"))).tolist()
    assert found == [3, 2, 2, 2, 1, 1, 0, 0, 0] + [0] * 9


@pytest.mark.parametrize("references", [[1, 1, 1], [2, 2], [1, 3, 1]])
def test_the_signature_is_that_of_all_answers(references, answers):
    rows = answers(*(("a b", *(f"a {i}" for i in range(count))) for count in references))
    number = references[0] if len(set(references)) == 1 else "var"
    assert Chrf().signature(rows).startswith(f"nrefs:{number}|case:mixed|")


@pytest.mark.parametrize(
    ("row", "shares", "penalty"),
    [
        (("the cat sat on the mat", "the cat sat on a mat"), [5 / 6, 3 / 5, 2 / 4, 1 / 3], 1.0),
        (("the cat sat on", "the cat sat on the mat"), [1, 1, 1, 1], math.exp(1 - 6 / 4)),
        (("a b x c d", "a b y c d"), [4 / 5, 2 / 4, 0.5 / 3, 0.25 / 2], 1.0),  # half, a quarter
    ],
)
def test_the_formula_of_bleu(row, shares, penalty, answers):
    found = Bleu().measure(answers(row))
    assert found.value == pytest.approx(100 * penalty * math.prod(shares) ** (1 / 4))
    assert found.details["precisions"] == pytest.approx([100 * share for share in shares])
    assert found.details["brevity_penalty"] == pytest.approx(penalty)
    lengths = tuple(len(text.split()) for text in row)
    assert (found.details["output_length"], found.details["reference_length"]) == lengths


@pytest.mark.parametrize(
    ("options", "signature"),
    [
        ({}, "case:mixed|eff:no|tok:13a|smooth:exp"),
        ({"lowercase": True}, "case:lc|eff:no|tok:13a|smooth:exp"),
        ({"tokenize": "char"}, "case:mixed|eff:no|tok:char|smooth:exp"),
        ({"tokenize": "intl", "lowercase": True}, "case:lc|eff:no|tok:intl|smooth:exp"),
    ],
)
def test_bleu_is_what_sacrebleu_says(options, signature, answers):
    outputs, *references = (list(column) for column in zip(*CORPUS, strict=True))
    wanted = sacrebleu.corpus_bleu(outputs, references, **options)
    found = Bleu(**options).measure(answers(*CORPUS))
    assert found.value == pytest.approx(wanted.score)
    assert found.details["precisions"] == wanted.precisions
    assert found.details["brevity_penalty"] == wanted.bp
    version = f"version:{sacrebleu.__version__}"
    assert found.details["signature"] == f"nrefs:2|{signature}|{version}"


def test_missing_references_are_as_if_the_first_came_once_more(answers):
    uneven = [row[:2] if i % 2 else row for i, row in enumerate(CORPUS)]
    even = [(row[0], row[1], row[-1]) for row in uneven]
    found, wanted = Bleu().measure(answers(*uneven)), Bleu().measure(answers(*even))
    assert found.value == wanted.value > 0
    assert found.details["signature"].startswith("nrefs:var|")
    assert wanted.details["signature"].startswith("nrefs:2|")


@pytest.mark.parametrize("tokenize", ["13a", "intl", "zh", "char", "none"])
def test_right_outputs_have_100(tokenize, answers):
    rows = answers(*((row[1], *row[1:]) for row in CORPUS[:-1]))
    assert Bleu(tokenize=tokenize).measure(rows).value == 100.0


@pytest.mark.parametrize(
    ("metric", "rows"),
    [
        (Bleu(), [("a b c", "a b c"), ("", ""), ("", "a b c d"), ("a b c d", "")]),
        (Chrf(), [("", ""), ("", "a"), ("a", ""), (" ", " "), ("ABC", "abc")]),
    ],
)
def test_it_is_0_where_nothing_can_match(metric, rows, answers):
    assert [metric.measure(answers(row)).value for row in rows] == [0.0] * len(rows)


def test_texts_that_are_split_already_are_measured_without_a_remark(answers, caplog):
    Bleu().measure(answers(*[("i am cold .", "i am cold .")] * 200))
    assert not caplog.records


def test_sacrebleu_is_not_imported_before_it_is_needed():
    code = "import sys, seqgen.metrics; print('sacrebleu' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_the_formula_of_chrf(answers):
    """Of `ab` all is in `abc`, which has 2 of 3 letters and 1 of 2 pairs in it; 3 are too long."""
    recall = (2 / 3 + 1 / 2) / 2
    found = Chrf().measure(answers(("ab", "abc")))
    assert found.value == pytest.approx(100 * 5 * recall / (4 + recall))
    assert Chrf().measure(answers(("a bc d", "ab cd"))).value == 100.0  # spaces do not count
    assert Chrf(word_order=1).measure(answers(("a bc d", "ab cd"))).value < 100.0
    assert Chrf(lowercase=True).measure(answers(("ABC", "abc"))).value == 100.0


@pytest.mark.parametrize("word_order", [0, 1, 2])
def test_chrf_is_what_sacrebleu_says(word_order, answers):
    outputs, *references = (list(column) for column in zip(*CORPUS, strict=True))
    wanted = sacrebleu.corpus_chrf(outputs, references, word_order=word_order)
    found = Chrf(word_order=word_order).measure(answers(*CORPUS))
    assert found.value == wanted.score
    assert found.details["name"] == "chrF2" + "+" * word_order
    version = sacrebleu.__version__
    signature = f"nrefs:2|case:mixed|eff:yes|nc:6|nw:{word_order}|space:no|version:{version}"
    assert found.details["signature"] == signature


def test_the_best_reference_counts(answers):
    found = Chrf().measure(answers(("abcd", "wxyz", "abcd"), ("efgh", "efgh")))
    assert found.value == 100.0
    assert found.details["signature"].startswith("nrefs:var|")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"name": "bleu", "tokenize": "flores200"}, "tokenize: must be '13a', .* but is 'flores20"),
        ({"name": "chrf", "word_order": 3}, "word_order: must be 0, 1 or 2, but is 3"),
    ],
)
def test_unknown_variants_are_refused(spec, message):
    with pytest.raises(OptionError, match=message):
        metrics.build(spec)


@given(
    st.lists(
        st.tuples(
            st.lists(st.sampled_from("abc"), min_size=4, max_size=9),
            st.lists(
                st.lists(st.sampled_from("abc"), min_size=4, max_size=9), min_size=1, max_size=3
            ),
        ),
        min_size=1,
        max_size=4,
    )
)
@settings(max_examples=40)
def test_bleu_is_that_of_torchtext_where_no_kind_of_ngram_lacks_a_match(rows):
    """There smoothing changes nothing; of two lengths as near, torchtext takes the first, sacrebleu
    the shorter one, so that comes first."""
    from torchtext.data.metrics import bleu_score

    rows = [(output, sorted(references, key=len)) for output, references in rows]
    theirs = bleu_score([output for output, _ in rows], [right for _, right in rows])
    answers = [Answer("", " ".join(out), tuple(map(" ".join, right))) for out, right in rows]
    ours = Bleu(tokenize="none").measure(answers).value
    assert theirs == 0 or ours == pytest.approx(100 * theirs, abs=1e-3)
