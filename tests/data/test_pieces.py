"""Tokens as they stand in a text, above all those that are unknown."""

import pytest

from seqgen.data.pieces import pieces_of, unknown_pieces
from seqgen.tokenizers import tokenizers


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
        ("whole", "a dog", ["<unk>"], ["<unk>"]),
        ("byte", "ü", ["<0xC3>", "<0xBC>"], []),
    ],
)
def test_pieces(spec, text, pieces, unknown):
    tokenizer = tokenizers.build(tokenizers.check(spec))
    tokenizer.fit(["a", "cat", "a", "cat", " "] if spec == "whole" else ["a cat a cat"])
    assert pieces_of(text, tokenizer) == pieces
    assert unknown_pieces(text, tokenizer) == unknown
