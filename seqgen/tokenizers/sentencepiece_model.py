"""Loading a SentencePiece model: nothing that is cut short or foreign gets to the library."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

_MODEL, _RECORD = "model.spm", "model.json"
_NORMALIZER = 3
"""The field of a model that comes last: one that was cut between two fields lacks it."""


def read_model(path: Path) -> bytes:
    """The content of `path`. Errors: ValueError where it is no whole model."""
    try:
        content = path.read_bytes()
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise ValueError(f"`model_file` {path} cannot be read: {reason}") from None
    if _NORMALIZER not in _fields(content):
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


def _fields(content: bytes) -> set[int]:
    """The numbers of the fields of a protocol buffer, if all have a length and none is cut."""
    found, place = set(), 0
    while place < len(content):
        tag, place = _varint(content, place)
        length, place = _varint(content, place)
        place += length
        if tag & 7 != 2 or length < 0 or place > len(content):
            return set()
        found.add(tag >> 3)
    return found


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
