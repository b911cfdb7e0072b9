"""The metric `phoneme_error_rate`."""

from seqgen.metrics import PhonemeErrorRate


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
