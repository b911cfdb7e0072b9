"""The tokenizer `byte`: each byte of the text's UTF-8 is a token."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from seqgen.tokenizers.base import SPECIALS, Spans, Tokenizer, Tokens, check_text, tokenizers
from seqgen.tokenizers.utf8 import REPLACEMENT, shown_byte, text_so_far


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
