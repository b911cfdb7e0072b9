"""The metric `word_error_rate`."""

from seqgen.metrics import ExactMatch, WordErrorRate


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
