"""Tokenizers whose tokens are pieces of text by frequency: which are taken, and their file."""

from __future__ import annotations

import json
from abc import ABC
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, ClassVar

from pydantic import Field

from seqgen.tokenizers.base import SPECIALS, UNK, Tokenizer, check_text, shown_plainly
from seqgen.tokenizers.utf8 import REPLACEMENT

VocabSize = Annotated[int, Field(gt=len(SPECIALS))]


class PieceTokenizer(Tokenizer, ABC):
    """A tokenizer whose vocabulary is a list of pieces, kept in `file`.

    A subclass says how a text is cut, and calls `set_pieces` with what it has learned. Tokens are
    read with `between` between two of them.
    """

    file: ClassVar[str]
    between: str = " "

    def set_pieces(self, pieces: list[str]) -> None:
        """Take these, in the order of their ids, as the vocabulary."""
        self._pieces = ["", "", "", REPLACEMENT, *pieces]
        self._ids = {piece: token for token, piece in enumerate(pieces, len(SPECIALS))}

    def decode(self, tokens: Iterable[int]) -> str:
        """The pieces one behind the other; UNK is U+FFFD, other specials are nothing."""
        return self.between.join([self._pieces[token] for token in tokens if token >= UNK])

    def __len__(self) -> int:
        return len(self._pieces)

    def shown(self, token: int) -> str:
        """The piece; in quotes where it looks like a special token."""
        return SPECIALS[token] if token < len(SPECIALS) else shown_plainly(self._pieces[token])

    def files(self) -> dict[str, bytes]:
        """The pieces as a JSON list, in the order of their ids."""
        return {self.file: write_pieces(self._pieces[len(SPECIALS) :])}

    def restore(self, files: dict[str, bytes]) -> None:
        """From what `files` wrote."""
        self.set_pieces(read_pieces(files, self.file))


def most_frequent(counts: Mapping[str, int], min_count: int, vocab_size: int | None) -> list[str]:
    """The pieces that are there `min_count` times, at most as many as make `vocab_size` ids.

    The most frequent come first, those that are as frequent by code point: the order of `counts`
    does not matter. Raises ValueError if none is there so often.
    """
    often = [piece for piece, count in counts.items() if count >= min_count]
    if counts and not often:
        most = f"at most {max(counts.values())}, as often as the most frequent is there"
        raise ValueError(f"`min_count` must be {most}, but is {min_count}")
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
