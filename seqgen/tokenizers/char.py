"""The tokenizers `char` and `byte`: each Unicode character, or each byte of UTF-8, is a token."""

from __future__ import annotations

import string
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from seqgen.tokenizers import base
from seqgen.tokenizers.base import SPECIALS, UNK, PieceTokenizer, Spans, Tokenizer, Tokens


@base.tokenizers.register("char")
@dataclass(eq=False)
class CharTokenizer(PieceTokenizer):
    """One token for each character, ids in code point order.

    `alphabet`: the characters themselves, or `printable` (the 100 of `string.printable`); without
    it they are those of the training text. `unk: error` refuses other characters, else they
    become UNK, shown as U+FFFD.
    """

    alphabet: Annotated[str, Field(min_length=1)] | None = None
    unk: Literal["token", "error"] = "token"

    lossless = True
    file = "chars.json"
    between = ""
    vocabulary = "a list of single characters in order"

    def __post_init__(self) -> None:
        fixed = string.printable if self.alphabet == "printable" else self.alphabet or ""
        base.check_text(fixed)
        self.set_pieces(sorted(set(fixed)))

    def fit(self, texts: Iterable[str]) -> None:
        if self.alphabet is None:
            codes = [np.unique(_codes(text)) for text in texts]
            every = np.unique(np.concatenate(codes)).tolist() if codes else []
            self.set_pieces([chr(code) for code in every])

    def set_pieces(self, pieces: list[str]) -> None:
        super().set_pieces(pieces)
        codes = [ord(char) for char in pieces]
        # The id of each code point up to the largest that is known, then that of all others:
        # encoding is one look-up.
        self._table = np.full(max(codes, default=0) + 2, UNK, dtype=np.int64)
        self._table[codes] = np.arange(len(SPECIALS), len(self))

    def is_vocabulary(self, pieces: list[str]) -> bool:
        return pieces == sorted(set("".join(pieces)))

    def encode(self, text: str) -> Tokens:
        tokens = self._table[np.minimum(_codes(text), len(self._table) - 1)]
        if self.unk == "error" and (tokens == UNK).any():
            position = int((tokens == UNK).argmax())
            found = f"{text[position]!r} at {position}"
            raise ValueError(f"`text` must be of characters in the vocabulary, but has {found}")
        return tokens

    def spans(self, text: str) -> Spans:
        return [(place, place + 1) for place in range(len(text))]


def _codes(text: str) -> NDArray[np.uint32]:
    """The code points of `text`: UTF-32 is an array of them."""
    base.check_text(text)
    return np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32)


@base.tokenizers.register("byte")
class ByteTokenizer(Tokenizer):
    """One token for each byte of UTF-8: no text is unknown, and nothing is learned."""

    lossless = True

    def fit(self, texts: Iterable[str]) -> None:
        for text in texts:
            base.check_text(text)

    def encode(self, text: str) -> Tokens:
        base.check_text(text)
        return np.frombuffer(text.encode(), dtype=np.uint8).astype(np.int64) + len(SPECIALS)

    def spans(self, text: str) -> Spans:
        sizes = (len(char.encode()) for char in text)
        return [(place, place + 1) for place, size in enumerate(sizes) for _ in range(size)]

    def decode(self, tokens: Iterable[int]) -> str:
        """The characters of `tokens`; one that lacks bytes at the end is left out."""
        return base.text_so_far(b"".join([_CONTENT[token] for token in tokens]))

    def __len__(self) -> int:
        return len(_CONTENT)

    def shown(self, token: int) -> str:
        """The character where it is one byte, else such as `<0xE2>`."""
        if token < len(SPECIALS):
            return SPECIALS[token]
        byte = token - len(SPECIALS)
        return chr(byte) if byte < 0x80 else base.shown_byte(byte)

    def files(self) -> dict[str, bytes]:
        return {}  # all byte tokenizers are the same

    def restore(self, files: dict[str, bytes]) -> None:
        pass


_CONTENT = [b"", b"", b"", base.REPLACEMENT.encode(), *(bytes([byte]) for byte in range(256))]
