"""The tokenizer `char`: each Unicode character is a token."""

from __future__ import annotations

import json
import string
from collections.abc import Iterable
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from seqgen.tokenizers.base import (
    REPLACEMENT,
    SPECIALS,
    UNK,
    Spans,
    Tokenizer,
    Tokens,
    check_text,
    shown_byte,
    text_so_far,
    tokenizers,
)


@tokenizers.register("char")
class CharTokenizer(Tokenizer):
    """One token for each character, ids in code point order.

    `alphabet`: the characters themselves, or `printable` (the 100 of `string.printable`); without
    it they are those of the training text. `unk: error` refuses other characters, else they
    become UNK, shown as U+FFFD.
    """

    lossless = True

    def __init__(
        self,
        alphabet: Annotated[str, Field(min_length=1)] | None = None,
        unk: Literal["token", "error"] = "token",
    ) -> None:
        self.unk = unk
        self._alphabet = string.printable if alphabet == "printable" else alphabet
        self._set([])
        if self._alphabet is not None:
            check_text(self._alphabet)
            self._set(sorted(set(self._alphabet)))

    def fit(self, texts: Iterable[str]) -> None:
        """Take the characters of `texts`, unless the alphabet is fixed."""
        if self._alphabet is None:
            codes = [np.unique(_codes(text)) for text in texts]
            every = np.unique(np.concatenate(codes)).tolist() if codes else []
            self._set([chr(code) for code in every])

    def encode(self, text: str) -> Tokens:
        """One id for each character, by a table that is indexed with the code point."""
        codes = _codes(text)
        inside = codes < len(self._table)
        if inside.all():
            tokens = self._table[codes]
        else:
            tokens = np.where(inside, self._table[np.where(inside, codes, 0)], UNK)
        if self.unk == "error" and (tokens == UNK).any():
            position = int((tokens == UNK).argmax())
            raise ValueError(
                f"`text` must be of known characters, but has {text[position]!r} at {position}"
            )
        return tokens

    def spans(self, text: str) -> Spans:
        """Each character."""
        return [(place, place + 1) for place in range(len(text))]

    def decode(self, tokens: Iterable[int]) -> str:
        """The characters of `tokens`; UNK is U+FFFD, begin, end and padding are nothing."""
        return "".join([self._pieces[token] for token in tokens])

    def __len__(self) -> int:
        return len(self._pieces)

    def shown(self, token: int) -> str:
        """The character itself, or the name of a special token."""
        return SPECIALS[token] if token < len(SPECIALS) else self._pieces[token]

    def files(self) -> dict[str, bytes]:
        """The characters as a JSON list."""
        text = json.dumps(self._pieces[len(SPECIALS) :], ensure_ascii=True, indent=0)
        return {"chars.json": text.encode("ascii")}

    def restore(self, files: dict[str, bytes]) -> None:
        """From `chars.json`."""
        self._set(_read_chars(files.get("chars.json", b"")))

    def _set(self, chars: list[str]) -> None:
        self._pieces = ["", "", "", "\ufffd", *chars]
        codes = [ord(char) for char in chars]
        self._table = np.full(max(codes, default=0) + 1, UNK, dtype=np.int64)
        self._table[codes] = np.arange(len(SPECIALS), len(self._pieces))


def _codes(text: str) -> np.ndarray[tuple[int], np.dtype[np.uint32]]:
    """The code points of `text`: UTF-32 is an array of them."""
    check_text(text)
    return np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32)


def _read_chars(content: bytes) -> list[str]:
    """The characters that `files` wrote."""
    try:
        chars: list[str] = json.loads(content)
        text = "".join(chars)
        check_text(text)
        if chars == sorted(set(text)):
            return chars
    except (ValueError, TypeError, RecursionError):  # not JSON, or not characters
        pass
    raise ValueError("`chars.json` must be a list of single characters in order, but is not")


# The tokenizer `byte`: each byte of the text's UTF-8 is a token.


@tokenizers.register("byte")
class ByteTokenizer(Tokenizer):
    """The 256 bytes behind the special tokens: every text is known, none needs a vocabulary."""

    lossless = True

    def fit(self, texts: Iterable[str]) -> None:
        """There is nothing to learn; `texts` are only checked."""
        for text in texts:
            check_text(text)

    def encode(self, text: str) -> Tokens:
        """One id for each byte: the byte and 4."""
        check_text(text)
        return np.frombuffer(text.encode(), dtype=np.uint8).astype(np.int64) + len(SPECIALS)

    def spans(self, text: str) -> Spans:
        """The character that each byte is part of."""
        sizes = (len(char.encode()) for char in text)
        return [(place, place + 1) for place, size in enumerate(sizes) for _ in range(size)]

    def decode(self, tokens: Iterable[int]) -> str:
        """The characters of `tokens`; one that lacks bytes at the end is nothing yet."""
        return text_so_far(b"".join([_PIECES[token] for token in tokens]))

    def __len__(self) -> int:
        return len(_PIECES)

    def shown(self, token: int) -> str:
        """The character where it is one byte, else such as `<0xE2>`."""
        if token < len(SPECIALS):
            return SPECIALS[token]
        byte = token - len(SPECIALS)
        return chr(byte) if byte < 0x80 else shown_byte(byte)

    def files(self) -> dict[str, bytes]:
        """None: all byte tokenizers are the same."""
        return {}

    def restore(self, files: dict[str, bytes]) -> None:
        """There is nothing to take."""


_PIECES = [b"", b"", b"", REPLACEMENT.encode(), *(bytes([byte]) for byte in range(256))]
