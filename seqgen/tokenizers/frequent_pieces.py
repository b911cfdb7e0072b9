"""Vocabularies of whole pieces of text: which are taken, in which order, and their file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Annotated

from pydantic import Field

from seqgen.tokenizers.base import SPECIALS, check_text

VocabSize = Annotated[int, Field(gt=len(SPECIALS))]


def most_frequent(counts: Mapping[str, int], min_count: int, vocab_size: int | None) -> list[str]:
    """The pieces that are there `min_count` times, at most as many as make `vocab_size` ids.

    The most frequent come first, those that are as frequent by code point: the order of `counts`
    does not matter.
    """
    often = [piece for piece, count in counts.items() if count >= min_count]
    often.sort(key=lambda piece: (-counts[piece], piece))
    return often if vocab_size is None else often[: vocab_size - len(SPECIALS)]


def write_pieces(pieces: Sequence[str]) -> bytes:
    """The pieces as a JSON list, in the order of their ids."""
    return json.dumps(list(pieces), ensure_ascii=True, indent=0).encode("ascii")


def read_pieces(files: Mapping[str, bytes], name: str) -> list[str]:
    """The pieces of the file `name`, as `write_pieces` wrote it. Errors: ValueError."""
    try:
        pieces: list[str] = json.loads(files.get(name, b""))
        check_text("".join(pieces))
        if isinstance(pieces, list) and all(pieces) and len(set(pieces)) == len(pieces):
            return pieces
    except (ValueError, TypeError, RecursionError):  # not JSON, or not pieces of text
        pass
    raise ValueError(f"`{name}` must be a list of different texts, but is not")
