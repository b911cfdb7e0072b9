import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqgen.reports.alignment import align


@pytest.mark.parametrize(
    ("text", "pieces", "stretches"),
    [
        ("a b", ["a", " ", "b"], ["a", " ", "b"]),
        ("the cat sat", ["the", "cat", "sat"], ["the", " cat", " sat"]),
        ("the cat", ["\u2581the", "\u2581c", "at"], ["the", " c", "at"]),
        ("the cat", ["the", "cat", "</s>"], ["the", " cat", ""]),
        ("", [], []),
        ("the cat", ["the", "dog"], None),
        ("the cat", ["the"], None),
    ],
)
def test_align(text: str, pieces: list[str], stretches: list[str] | None) -> None:
    assert align(text, pieces) == stretches


@given(st.lists(st.text(max_size=4), max_size=8))
def test_pieces_that_make_up_the_text_are_their_own_stretches(pieces: list[str]) -> None:
    assert align("".join(pieces), pieces) == pieces
