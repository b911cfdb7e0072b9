"""Tokens as they stand in a text, above all those that are unknown."""

import pytest

from seqgen.data.pieces import pieces_of, unknown_pieces, with_pieces
from seqgen.tokenizers import tokenizers

LETTERS = {"name": "word", "pattern": "[a-z]+"}  # which drops all else


@pytest.mark.parametrize(
    ("spec", "text", "pieces", "unknown"),
    [
        ("char", "a cut", ["a", " ", "c", "u", "t"], ["u"]),
        ("char", "cat", ["c", "a", "t"], []),
        ("char", "", [], []),
        ("char", "x", ["x"], ["x"]),
        ("word", "a dog  a cat x", ["a", "dog", "a", "cat", "x"], ["dog", "x"]),
        ("whole", "a", ["a"], []),
        ("whole", "dog", ["dog"], ["dog"]),
        ("whole", "a dog", ["a dog"], ["a dog"]),
        ("byte", "ü", ["<0xC3>", "<0xBC>"], []),
        (LETTERS, "cat-zork 42 a", ["cat", "zork", "a"], ["zork"]),
        (LETTERS, "zork-42 zork", ["zork", "zork"], ["zork", "zork"]),
        ({**LETTERS, "lower": True}, "İ CAT Zork!", ["İ", "cat", "Zork"], ["İ", "Zork"]),
    ],
)
def test_pieces(spec, text, pieces, unknown):
    tokenizer = tokenizers.build(tokenizers.check(spec))
    tokenizer.fit(["a", "cat", "a", "cat", " "] if spec == "whole" else ["a cat a cat"])
    assert pieces_of(text, tokenizer) == pieces
    assert unknown_pieces(text, tokenizer) == unknown


@pytest.mark.parametrize(
    ("spec", "tokens", "pieces", "text"),
    [
        ("char", [3, 4, 3], {0: "x", 2: "y"}, "x y"),
        ("char", [3, 4, 3], {2: "xyz"}, "\ufffd xyz"),
        ("char", [3, 3, 2], {0: "\ufffd", 1: "y"}, "\ufffdy"),
        ("char", [5, 4], {}, "a "),
        ("word", [4, 3, 5, 3, 2], {1: "dog", 3: ""}, "a dog cat "),
        ("word", [1, 3, 2], {1: "\ufffd \ufffd"}, "\ufffd \ufffd"),
        ("whole", [3], {0: "a dog"}, "a dog"),
        # Half of a character stands before it.
        ("byte", [4 + 0xC3, 3, 4 + 65], {1: "x"}, "\ufffdxA"),
    ],
)
def test_pieces_in_the_place_of_what_is_unknown(spec, tokens, pieces, text):
    tokenizer = tokenizers.build(tokenizers.check(spec))
    tokenizer.fit(["a cat a"])
    assert with_pieces(tokenizer.decode, tokens, pieces) == text


def test_where_unknown_is_shown_otherwise_it_stays():
    def shown(tokens):
        return " ".join("?" if token == 3 else str(token) for token in tokens)

    assert with_pieces(shown, [7, 3], {1: "x"}) == "7 ?"
