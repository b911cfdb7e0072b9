"""The pieces of a SentencePiece model under our ids: special tokens first, then the others."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from seqgen.tokenizers.base import SPECIALS, UNK, Spans, Tokens, shown_plainly
from seqgen.tokenizers.utf8 import REPLACEMENT, shown_byte

SPACE = "\u2581"
"""How SentencePiece writes a space; so the character itself cannot be in a piece."""


@dataclass(frozen=True)
class Pieces:
    """What each of our ids stands for, as bytes and as a person reads it, and the ids both ways.

    `theirs` is -1 for a special token that the model lacks; `from_theirs: [pieces of the model]`.
    """

    content: tuple[bytes, ...]
    shown: tuple[str, ...]
    theirs: tuple[int, ...]
    from_theirs: Tokens

    @classmethod
    def of(cls, model: Any) -> Pieces:
        """The pieces of a processor; of one that we trained, the ids are the same on both sides."""
        every = range(model.get_piece_size())
        plain = [i for i in every if not (model.is_control(i) or model.is_unknown(i))]
        specials = (model.pad_id(), model.bos_id(), model.eos_id(), model.unk_id())
        from_theirs = np.full(len(every), UNK, dtype=np.int64)
        from_theirs[plain] = np.arange(len(SPECIALS), len(SPECIALS) + len(plain))
        content, shown = list(_SPECIAL_CONTENT), list(SPECIALS)
        for i in plain:
            piece = model.id_to_piece(i)
            if model.is_byte(i):
                content.append(bytes([int(piece[3:5], 16)]))
                shown.append(piece)
            else:
                text = piece.replace(SPACE, " ")
                content.append(text.encode())
                shown.append(shown_plainly(text))
        return cls(tuple(content), tuple(shown), (*specials, *plain), from_theirs)

    def spelled(self, text: str) -> list[int]:
        """`text` as a piece of its own, else as its bytes, or UNK where there are none."""
        if text in self.shown:
            return [self.shown.index(text)]
        names = [shown_byte(byte) for byte in text.encode()]
        return [self.shown.index(name) if name in self.shown else UNK for name in names]


def piece_spans(pieces: Sequence[str], text: str) -> Spans | None:
    """Where `pieces`, as a processor writes them, stand in `text`; None where they do not.

    A model may put a space before the text, or leave spaces out.
    """
    content = text.encode()
    # For each byte the character that it is part of, and for the end the number of characters.
    chars = [place for place, char in enumerate(text) for _ in char.encode()] + [len(text)]
    spans: Spans = []
    place = 0
    for piece in pieces:
        byte = _BYTE.fullmatch(piece)
        wanted = bytes([int(byte[1], 16)]) if byte else piece.replace(SPACE, " ").encode()
        if not content.startswith(wanted, place):
            wanted = wanted.strip(b" ")
            place = len(content) - len(content[place:].lstrip(b" ")) if wanted else place
            if not content.startswith(wanted, place):
                return None
        end = place + len(wanted)
        spans.append((chars[place], chars[end - 1] + 1 if wanted else chars[place]))
        place = end
    return spans


_BYTE = re.compile("<0x([0-9A-F]{2})>")
_SPECIAL_CONTENT = (b"", b"", b"", REPLACEMENT.encode())
NONE = Pieces(_SPECIAL_CONTENT, SPECIALS, (-1, -1, -1, -1), np.zeros(0, dtype=np.int64))
"""Those of a model that has not been trained."""
