"""The metric `bleu`."""

import math
import subprocess
import sys

import pytest
import sacrebleu

from seqgen.metrics import Bleu

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
