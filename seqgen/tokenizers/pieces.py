"""A SentencePiece model: its file, which is checked before it is loaded, and its pieces by our ids.

Nothing that is cut short or foreign gets to the library. It does not expose the algorithm and
the kinds of pieces, which sampling needs, so the fields of the file are read here, too.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from seqgen.errors import DataError
from seqgen.files import RECORD_LIMIT, read_bytes
from seqgen.tokenizers import base
from seqgen.tokenizers.base import SPECIALS, UNK, Spans, Tokens

SPACE = "\u2581"
"""How SentencePiece writes a space; so the character itself cannot be in a piece."""

_PIECES, _TRAINER, _NORMALIZER = 1, 2, 3
"""The fields of a model. The last comes last: one that was cut between two fields lacks it."""

_ALGORITHMS = {1: "unigram", 2: "bpe", 3: "word", 4: "char"}


class Kind(IntEnum):
    """What a piece is for, by the numbers that a model has for it."""

    NORMAL = 1
    UNKNOWN = 2
    CONTROL = 3
    USER_DEFINED = 4
    UNUSED = 5
    BYTE = 6


class ModelPiece(NamedTuple):
    """A piece, its log-probability (`unigram`) or its rank as a negative number (`bpe`)."""

    text: str
    score: float
    kind: Kind


class ModelRecord(NamedTuple):
    """What a model file says."""

    algorithm: str
    pieces: list[ModelPiece]


def read_model(path: Path) -> bytes:
    """The content of `path`. Raises ValueError if it is no whole model."""
    try:
        content = read_bytes(path, DataError, limit=RECORD_LIMIT, wanted="a SentencePiece model")
    except DataError as error:
        # As the option's own errors say it: without the colon after the path.
        message = str(error).replace(f"{path}: cannot be", f"{path} cannot be")
        raise ValueError(f"`model_file` {message}") from None
    with suppress(ValueError):
        if _NORMALIZER in dict(_fields(content)):
            return content
    raise ValueError(f"`model_file` {path} is no SentencePiece model, or was cut short")


def load_model(content: bytes) -> Any:
    """The library's processor. Raises ValueError if it refuses `content`."""
    import sentencepiece  # here: few recipes need it

    processor = sentencepiece.SentencePieceProcessor()
    try:
        processor.LoadFromSerializedProto(content)
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"the SentencePiece model cannot be loaded: {reason}") from None
    return processor


def model_record(content: bytes) -> ModelRecord:
    """The algorithm and the pieces of a whole model."""
    pieces, algorithm = [], 1
    for number, value in _fields(content):
        if number == _PIECES and isinstance(value, bytes):
            found = dict(_fields(value))
            [score] = struct.unpack("<f", found.get(2, bytes(4)))
            pieces.append(ModelPiece(found.get(1, b"").decode(), score, Kind(found.get(3, 1))))
        if number == _TRAINER and isinstance(value, bytes):
            algorithm = dict(_fields(value)).get(3, 1)
    return ModelRecord(_ALGORITHMS[algorithm], pieces)


def _fields(content: bytes) -> list[tuple[int, Any]]:
    """The numbers and values of a protocol buffer's fields. Raises ValueError if it is none."""
    found: list[tuple[int, Any]] = []
    place = 0
    while place < len(content):
        tag, place = _varint(content, place)
        kind, value = tag & 7, 0
        if kind in (0, 2):  # a number, or how many bytes follow
            value, place = _varint(content, place)
        if kind == 0:
            found.append((tag >> 3, value))
            continue
        sizes = {1: 8, 2: value, 5: 4}
        if kind not in sizes or place + sizes[kind] > len(content):
            raise ValueError("cut short, or no protocol buffer")
        found.append((tag >> 3, content[place : place + sizes[kind]]))
        place += sizes[kind]
    return found


def _varint(content: bytes, place: int) -> tuple[int, int]:
    """The number at `place`, seven bits a byte, and the place after it. Raises ValueError if it is
    cut short or longer than 64 bits."""
    value = 0
    for index, byte in enumerate(content[place : place + 10]):
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            return value, place + index + 1
    raise ValueError("cut short, or no protocol buffer")


@dataclass(frozen=True)
class Pieces:
    """What each of our ids stands for, as bytes and as display text, and the ids both ways.

    Our special tokens come first, then the model's other pieces in its order. `theirs` is -1 for a
    special token that the model lacks; `from_theirs: [pieces of the model]`.
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
                shown.append(base.shown_plainly(text))
        return cls(tuple(content), tuple(shown), (*specials, *plain), from_theirs)

    def spelled(self, text: str) -> list[int]:
        """`text` as a piece of its own, else as its bytes, or UNK where there are none."""
        if text in self.shown:
            return [self.shown.index(text)]
        names = [base.shown_byte(byte) for byte in text.encode()]
        return [self.shown.index(name) if name in self.shown else UNK for name in names]


_SPECIAL_CONTENT = (b"", b"", b"", base.REPLACEMENT.encode())
NONE = Pieces(_SPECIAL_CONTENT, SPECIALS, (-1, -1, -1, -1), np.zeros(0, dtype=np.int64))
"""Those of a model that has not been trained."""

_BYTE = re.compile("<0x([0-9A-F]{2})>")


def piece_spans(pieces: Sequence[str], text: str) -> Spans | None:
    """The places of `pieces`, as a processor writes them, in `text`; None where it differs.

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
