"""The metric `character_error_rate`."""

from seqgen.metrics import CharacterErrorRate


def test_edits_over_characters(answers):
    rows = answers(("sitting", "kitten"), ("2026-01-02", "2026-01-03", "2025-01-03"))
    found = CharacterErrorRate().measure(rows)
    assert found == (4 / 16, {"edits": 4, "reference_length": 16})


def test_a_space_is_a_character(answers):
    assert CharacterErrorRate().measure(answers(("ab", "a b"))).value == 1 / 3


def test_a_combining_accent_is_one_too(answers):
    found = CharacterErrorRate().measure(answers(("e", "e\u0301")))
    assert found == (0.5, {"edits": 1, "reference_length": 2})
