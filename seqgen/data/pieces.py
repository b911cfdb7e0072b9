"""Pieces: the tokens of a text as they stand there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from seqgen.tokenizers.base import UNK, Tokenizer
from seqgen.tokenizers.utf8 import REPLACEMENT


def pieces_of(text: str, tokenizer: Tokenizer) -> list[str]:
    """The tokens of `text` as a person reads them, unknown ones as they stand in the text where
    that can be told."""
    tokens = tokenizer.encode(text).tolist()
    shown = [tokenizer.shown(token) for token in tokens]
    spans = tokenizer.spans(text) if UNK in tokens else None
    if spans is None or len(spans) != len(tokens):
        return shown
    return [
        text[slice(*span)] if token == UNK else piece
        for span, token, piece in zip(spans, tokens, shown, strict=True)
    ]


def unknown_pieces(text: str, tokenizer: Tokenizer) -> list[str]:
    """Those of them that are unknown to the tokenizer."""
    tokens = tokenizer.encode(text).tolist()
    if UNK not in tokens:
        return []
    pieces = zip(pieces_of(text, tokenizer), tokens, strict=True)
    return [piece for piece, token in pieces if token == UNK]


def with_pieces(
    text_of: Callable[[Sequence[int]], str], tokens: Sequence[int], pieces: Mapping[int, str]
) -> str:
    """How `tokens` read by `text_of`, with `pieces` in the places of tokens that are UNK.

    UNK reads U+FFFD, so one at place i is the last character of what the first i + 1 tokens read.
    Where a tokenizer shows UNK otherwise, it stays as it is.
    """
    text = text_of(tokens)
    for place in sorted(pieces, reverse=True):  # so what stands before a place is as it was
        before = text_of(tokens[: place + 1])
        if before.endswith(REPLACEMENT) and text.startswith(before):
            text = before.removesuffix(REPLACEMENT) + pieces[place] + text[len(before) :]
    return text
