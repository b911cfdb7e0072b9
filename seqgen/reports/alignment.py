"""Cutting a decoded text into the stretches that its tokens stand for."""

from __future__ import annotations

from collections.abc import Sequence


def align(text: str, pieces: Sequence[str]) -> list[str] | None:
    """One stretch of `text` for each piece, together the whole text, or None where that fails.

    Characters match as they are. A word's piece may lack the space before it, SentencePiece writes
    that space as U+2581, and a special token (`</s>`) stands for no text at all.
    """
    stretches: list[str] = []
    position = 0
    for piece in pieces:
        end = _end_of(piece, text, position)
        stretches.append(text[position:end])
        position = end
    return stretches if position == len(text) else None


def _end_of(piece: str, text: str, position: int) -> int:
    if text.startswith(piece, position):
        return position + len(piece)
    content = piece.replace("\u2581", " ").strip()
    # Only the spaces just here are passed over: the rest of the text belongs to later pieces.
    start = position
    while start < len(text) and text[start].isspace():
        start += 1
    if content and text.startswith(content, start):
        return start + len(content)
    return position
