"""Changes of texts, in their order."""

import pytest

from seqgen.data.text_changes import changed


@pytest.mark.parametrize(
    ("changes", "text", "expected"),
    [
        ((), "Ä", "Ä"),
        (("lower",), "ÀBc", "àbc"),
        (("NFD",), "각é", "\u1100\u1161\u11a8e\u0301"),
        (("NFC",), "\u1100\u1161\u11a8e\u0301", "각é"),
        (("NFKC",), "ﬁ①", "fi1"),
        (("NFKC", "lower"), "\u210c", "h"),
        (("lower", "NFKC"), "\u210c", "H"),
    ],
)
def test_each_change_is_made_in_its_turn(changes, text, expected):
    assert changed(text, changes) == expected
