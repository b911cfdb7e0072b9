"""`LongText`: a text that need not fit into memory, and its ids, a part at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from seqgen.tokenizers.base import Tokenizer, Tokens

LARGE = 1 << 22
"""From so many characters on a text is read in parts, and its ids are kept in a file."""


@dataclass(frozen=True)
class LongText:
    """A text of `chars` characters. `read(place)` reads it from a place on, in parts that end
    anywhere.

    Iterating gives one text, the whole, for tokenizers that learn from it as it is.
    """

    read: Callable[[int], Iterator[str]]
    chars: int

    @classmethod
    def of(cls, text: str) -> LongText:
        return cls(lambda place: iter([text[place:]]), len(text))

    @classmethod
    def joined(cls, texts: Sequence[LongText]) -> LongText:
        """One after the other."""

        def read(place: int) -> Iterator[str]:
            for text in texts:
                if place < text.chars:
                    yield from text.read(max(0, place))
                place -= text.chars

        return cls(read, sum(text.chars for text in texts))

    def __str__(self) -> str:
        return "".join(self.read(0))

    def __iter__(self) -> Iterator[str]:
        yield str(self)

    @property
    def large(self) -> bool:
        return self.chars >= LARGE

    @property
    def blank(self) -> bool:
        """Whether there is nothing but white space in it."""
        return not any(chunk.strip() for chunk in self.read(0))

    @property
    def bytes(self) -> int:
        """Its size in UTF-8."""
        return self._in_utf_8[0]

    @property
    def sha256(self) -> str:
        """That of its UTF-8."""
        return self._in_utf_8[1]

    @cached_property
    def _in_utf_8(self) -> tuple[int, str]:
        size, found = 0, hashlib.sha256()
        for chunk in self.read(0):
            content = chunk.encode()
            size += len(content)
            found.update(content)
        return size, found.hexdigest()

    def part(self, begin: int, end: int) -> LongText:
        """The characters from `begin` up to `end`, as in `text[begin:end]`."""
        begin = min(max(0, begin), self.chars)
        end = min(max(begin, end), self.chars)

        def read(place: int) -> Iterator[str]:
            left = end - begin - place
            for chunk in self.read(begin + place):
                yield chunk[:left]
                left -= len(chunk)
                if left <= 0:
                    break

        return LongText(read, end - begin)

    def pieces(self, tokenizer: Tokenizer) -> Iterator[str]:
        """Parts that `tokenizer` reads one by one as it reads the whole (see `last_cut`)."""
        rest = ""
        for chunk in self.read(0):
            rest += chunk
            if cut := tokenizer.last_cut(rest):
                yield rest[:cut]
                rest = rest[cut:]
        if rest:
            yield rest

    def encoded(self, tokenizer: Tokenizer) -> Iterator[Tokens]:
        """The ids of the text, a piece at a time. Raises ValueError as `encode` does."""
        place = 0
        for piece in self.pieces(tokenizer):
            try:
                yield tokenizer.encode(piece)
            except ValueError as error:
                here = f" (positions are from character {place:,} on)" if place else ""
                raise ValueError(f"{error}{here}") from None
            place += len(piece)
