"""The pieces of a SentencePiece model under our ids: special tokens first, then the others."""

from __future__ import annotations

import hashlib
import json
import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from seqgen.errors import DataError
from seqgen.files import RECORD_LIMIT, read_bytes
from seqgen.tokenizers.base import (
    REPLACEMENT,
    SPECIALS,
    UNK,
    Spans,
    Tokens,
    shown_byte,
    shown_plainly,
)

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


# Loading a SentencePiece model: nothing that is cut short or foreign gets to the library.


_MODEL, _RECORD = "model.spm", "model.json"
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
    """The content of `path`. Errors: ValueError where it is no whole model."""
    try:
        content = read_bytes(path, DataError, limit=RECORD_LIMIT, wanted="a SentencePiece model")
    except DataError as error:
        # As the option's own errors say it: without the colon behind the path.
        said = str(error).replace(f"{path}: cannot be", f"{path} cannot be")
        raise ValueError(f"`model_file` {said}") from None
    if _NORMALIZER not in dict(_fields(content)):
        raise ValueError(f"`model_file` {path} is no SentencePiece model, or was cut short")
    return content


def load_model(content: bytes) -> Any:
    """The library's processor. Errors: ValueError."""
    import sentencepiece  # here: few recipes need it

    processor = sentencepiece.SentencePieceProcessor()
    try:
        processor.LoadFromSerializedProto(content)
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"the SentencePiece model cannot be loaded: {reason}") from None
    return processor


def packed(content: bytes, ours: bool) -> dict[str, bytes]:
    """The model as files, with its hash; `ours` says that it was trained here."""
    digest = hashlib.sha256(content).hexdigest()
    record = json.dumps({"ours": ours, "sha256": digest})
    return {_MODEL: content, _RECORD: f"{record}\n".encode()}


def unpacked(files: dict[str, bytes]) -> tuple[bytes, bool]:
    """What `packed` packed. Errors: ValueError unless both files are just as they were."""
    content = files.get(_MODEL, b"")
    for ours in (True, False):
        wanted = packed(content, ours)
        if files.get(_RECORD) == wanted[_RECORD]:
            return content, ours
    raise ValueError(f"`{_MODEL}` must be what `{_RECORD}` has the SHA-256 of, but is not")


def model_record(content: bytes) -> ModelRecord:
    """The pieces of a model with what the library does not tell of them. `content` is whole."""
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
    """The numbers and values of the fields of a protocol buffer; none at all if one is cut."""
    found: list[tuple[int, Any]] = []
    place = 0
    while place < len(content):
        tag, place = _varint(content, place)
        value: bytes | int
        if tag & 7 == 0:
            value, place = _varint(content, place)
        else:
            size, place = (_FIXED[tag & 7], place) if tag & 7 in _FIXED else _varint(content, place)
            value = content[place : place + size]
            place += size
            if size < 0 or tag & 7 not in (*_FIXED, 2):
                return []
        if tag < 0 or place > len(content) or value == -1:
            return []
        found.append((tag >> 3, value))
    return found


_FIXED = {1: 8, 5: 4}
"""The bytes of numbers by the kind of their field."""


def _varint(content: bytes, place: int) -> tuple[int, int]:
    """The number at `place`, seven bits a byte, and the place behind it; -1 if it is cut."""
    value = shift = 0
    while place < len(content):
        byte = content[place]
        value |= (byte & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if byte < 0x80:
            return value, place
    return -1, place
