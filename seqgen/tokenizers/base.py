"""The contract of a tokenizer: text to token ids and back, fitted once.

The plainest kinds are here too: with `char` each Unicode character is a token, with `byte` each
byte of UTF-8.
"""

from __future__ import annotations

import codecs
import hashlib
import json
import re
import string
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from seqgen.errors import CheckpointError, SetupError
from seqgen.files import RECORD_LIMIT, read_bytes, write_file
from seqgen.registry import Registry

tokenizers: Registry[Tokenizer] = Registry("tokenizer")

PAD, BOS, EOS, UNK = 0, 1, 2, 3
SPECIALS = ("<pad>", "<bos>", "<eos>", "<unk>")
"""How special tokens are shown. Text that looks like one is plain text, never its id."""

REPLACEMENT = "\ufffd"
"""Stands for UNK in a text, and for bytes that are no character."""

Tokens = NDArray[np.int64]
Counts = NDArray[np.int64]

Spans = list[tuple[int, int]]
"""The places of tokens in a text, as `text[start:end]`."""


class Contents(NamedTuple):
    """What each token adds to a text, in UTF-8, by its id.

    A text is `first` of its first token and `later` of the others, one behind the other; after one
    of `breaks` it is `first` again. Special tokens but UNK add nothing.
    """

    first: Sequence[bytes]
    later: Sequence[bytes]
    breaks: frozenset[int] = frozenset()


class Tokenizer(ABC):
    """Text to ids and back. PAD, BOS, EOS and UNK are 0, 1, 2 and 3 in each.

    `lossless` says whether `decode(encode(text)) == text` for every text made of known symbols,
    `samples` whether training reads the text in other tokens each epoch (see `sample`).
    """

    lossless: bool
    samples: bool = False

    @abstractmethod
    def fit(self, texts: Iterable[str]) -> None:
        """Learn the vocabulary from `texts`; the order of its entries never varies between runs."""

    @abstractmethod
    def encode(self, text: str) -> Tokens:
        """The ids of `text`, without BOS and EOS. Raises ValueError if it has a lone surrogate."""

    def encode_all(self, texts: Sequence[str]) -> tuple[Tokens, Counts]:
        """The ids of all `texts`, one behind the other, and how many each has: `[texts]`. Raises
        ValueError as `encode` does, but for the position."""
        rows = [np.zeros(0, dtype=np.int64), *map(self.encode, texts)]
        return np.concatenate(rows), np.array([*map(len, rows[1:])], dtype=np.int64)

    def last_cut(self, text: str) -> int:
        """The last place at which `text` may be cut, whatever follows it, so that the ids of both
        parts are those of the whole, and that `fit` learns the same from both.

        0 where there is none or it is not known: such a text is read whole, however long it is.
        """
        return 0

    def sample(self, text: str, seed: int) -> Tokens:
        """The ids of `text` for an epoch of training: where `samples` is true, one of the ways to
        cut it into pieces, drawn from `seed` alone."""
        return self.encode(text)

    def spans(self, text: str) -> Spans | None:
        """The place of each token of `encode(text)`; None if it is unknown.

        Where a character is several tokens, each has the whole of it. Unless overridden, this finds
        tokens that are characters, or words between spaces, each of which alone is the same token.
        """
        tokens = self.encode(text).tolist()
        words = [match.span() for match in re.finditer(r"\S+", text)]
        for spans in (words, [(place, place + 1) for place in range(len(text))]):
            if len(spans) == len(tokens) and all(
                self.encode(text[start:end]).tolist() == [token]
                for (start, end), token in zip(spans, tokens, strict=True)
            ):
                return spans
        return None

    @abstractmethod
    def decode(self, tokens: Iterable[int]) -> str:
        """The text of `tokens`; BOS, EOS and PAD vanish."""

    def continuation(self, before: Iterable[int], tokens: Iterable[int]) -> str:
        """The text that `tokens` add after `before`.

        Not `decode(tokens)`: there may be a space between two tokens, or several for one character.
        """
        first = list(before)
        return self.decode([*first, *tokens])[len(self.decode(first)) :]

    def contents(self) -> Contents | None:
        """What each token adds to the text that `decode` returns; None where that depends on more
        than whether it is the first."""
        return None

    @abstractmethod
    def __len__(self) -> int:
        """The number of ids, the four special ones included."""

    @abstractmethod
    def shown(self, token: int) -> str:
        """The display text of one token, e.g. in a table of probabilities."""

    @abstractmethod
    def files(self) -> dict[str, bytes]:
        """What `save` writes: file names and contents, the same bytes from run to run."""

    @abstractmethod
    def restore(self, files: dict[str, bytes]) -> None:
        """Take the vocabulary from what `files` returned. Raises ValueError if it is damaged."""

    def save(self, folder: Path) -> None:
        """Write the fitted vocabulary into `folder`. Raises SetupError if that fails."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SetupError(f"{folder}: cannot be written: {error.strerror}") from None
        for name, content in self.files().items():
            write_file(folder / name, content)

    def load(self, folder: Path) -> None:
        """Read what `save` wrote. Raises CheckpointError if something in `folder` is no file."""
        paths = sorted(folder.iterdir())
        self.restore(
            {path.name: read_bytes(path, CheckpointError, limit=RECORD_LIMIT) for path in paths}
        )

    def fingerprint(self) -> str:
        """The SHA-256 of what `save` writes: two tokenizers with the same one are the same."""
        hashes = {name: hashlib.sha256(each).hexdigest() for name, each in self.files().items()}
        lines = (f"{name}:{each}" for name, each in sorted(hashes.items()))
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()


Tokenizers = Mapping[str, Tokenizer]
"""A tokenizer for each field that the data has, such as `text`, or `source` and `target`."""

TokenizerFactory = Annotated[Callable[..., Tokenizer], tokenizers]


class PieceTokenizer(Tokenizer, ABC):
    """A tokenizer whose vocabulary is a list of pieces of text, kept as JSON in `file`.

    A subclass says how a text is cut, and calls `set_pieces` with what it has learned. Decoding
    puts `between` between two pieces.
    """

    file: ClassVar[str]
    between: str = " "
    vocabulary: ClassVar[str] = "a list of different texts"
    """What `file` must hold."""

    def set_pieces(self, pieces: list[str]) -> None:
        """Take these, in the order of their ids."""
        self._pieces = ["", "", "", REPLACEMENT, *pieces]
        self._ids = {piece: token for token, piece in enumerate(pieces, len(SPECIALS))}

    def is_vocabulary(self, pieces: list[str]) -> bool:
        """Whether `pieces` are those of such a tokenizer, so that `restore` may take them."""
        return all(pieces) and len(set(pieces)) == len(pieces)

    def decode(self, tokens: Iterable[int]) -> str:
        return self.between.join([self._pieces[token] for token in tokens if token >= UNK])

    def contents(self) -> Contents | None:
        first = [piece.encode() for piece in self._pieces]
        between = self.between.encode()
        return Contents(first, [*first[:UNK], *(between + piece for piece in first[UNK:])])

    def __len__(self) -> int:
        return len(self._pieces)

    def shown(self, token: int) -> str:
        return SPECIALS[token] if token < len(SPECIALS) else shown_plainly(self._pieces[token])

    def files(self) -> dict[str, bytes]:
        content = json.dumps(self._pieces[len(SPECIALS) :], ensure_ascii=True, indent=0)
        return {self.file: content.encode("ascii")}

    def restore(self, files: dict[str, bytes]) -> None:
        try:
            pieces = json.loads(files.get(self.file, b""))
            check_text("".join(pieces))
            valid = isinstance(pieces, list) and self.is_vocabulary(pieces)
        except (ValueError, TypeError, RecursionError):  # not JSON, or not pieces of text
            valid = False
        if not valid:
            raise ValueError(f"`{self.file}` must be {self.vocabulary}, but is not")
        self.set_pieces(pieces)


def check_text(text: str) -> None:
    """Raises ValueError, with the position, if `text` has a lone surrogate, which is no character.

    Every tokenizer calls it for every text.
    """
    try:
        text.isascii() or text.encode("utf-32-le")
    except UnicodeEncodeError as error:
        code = ord(text[error.start])
        raise ValueError(
            f"`text` must be Unicode characters, but has a lone surrogate U+{code:04X} "
            f"at position {error.start}"
        ) from None


def shown_plainly(piece: str) -> str:
    """`piece` as it is; in quotes if it looks like a special token."""
    return f"'{piece}'" if piece.strip("'") in SPECIALS else piece


def shown_byte(byte: int) -> str:
    """Such as `<0xE2>`, for a byte that is no character by itself."""
    return f"<0x{byte:02X}>"


def text_so_far(content: bytes) -> str:
    """The characters of UTF-8 that may end anywhere; faulty bytes are U+FFFD.

    A character at the end that lacks bytes is left out, so the text of a longer `content` always
    begins with the text of a shorter one.
    """
    return codecs.getincrementaldecoder("utf-8")("replace").decode(content)


@dataclass(frozen=True)
class VocabularyStatistics:
    """The pieces and counts of a vocabulary, from which a part of a new model may start.

    `pieces` are what `shown` gives for each id; `counts: [vocab]`, how often each stands in the
    training tokens, or None where the kind of data does not count.
    """

    pieces: tuple[str, ...]
    counts: Counts | None = None


def vocabulary_statistics(
    tokenizers: Tokenizers, counts: Mapping[str, Counts]
) -> dict[str, VocabularyStatistics]:
    """The statistics of each field. `counts` may end early: ids after its end were never seen.

    Raises ValueError if more ids are counted than a tokenizer has.
    """
    statistics = {}
    for field, tokenizer in tokenizers.items():
        size, seen = len(tokenizer), counts.get(field)
        if seen is not None and len(seen) > size:
            wrong = f"gave the id {len(seen) - 1}, but has {size} ids (0 to {size - 1})"
            raise ValueError(f"the tokenizer of '{field}' {wrong}")
        if seen is not None:
            seen = np.pad(seen, (0, size - len(seen)))
        statistics[field] = VocabularyStatistics(tuple(map(tokenizer.shown, range(size))), seen)
    return statistics


_BLOCK = 1 << 20

MOST_IDS = 1 << 24
"""More than any vocabulary has: counting an id beyond would take memory for all below it."""


def count_ids(ids: NDArray[np.int64]) -> Counts:
    """How often each id stands in `ids: [count]`.

    Raises ValueError, with its place, if an id is negative or larger than any vocabulary.
    """
    counts = np.zeros(0, dtype=np.int64)
    for first in range(0, len(ids), _BLOCK):  # what is between needs much more than the ids
        block = ids[first : first + _BLOCK].astype(np.int64)
        wrong = np.flatnonzero((block < 0) | (block >= MOST_IDS))
        if len(wrong):
            place = f"token {first + wrong[0] + 1} of the training text"
            what = f"the id {block[wrong[0]]} for {place}, which none has"
            raise ValueError(f"the tokenizer gave {what}")
        found = np.bincount(block, minlength=len(counts))
        found[: len(counts)] += counts
        counts = found
    return counts


@tokenizers.register("char")
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
        check_text(fixed)
        self.set_pieces(sorted(set(fixed)))

    def fit(self, texts: Iterable[str]) -> None:
        if self.alphabet is None:
            seen = np.zeros(sys.maxunicode + 1, dtype=bool)
            for some in _together(texts):
                seen[_codes(some)] = True
            self.set_pieces([chr(code) for code in np.flatnonzero(seen).tolist()])

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
        tokens = self._table.take(_codes(text), mode="clip")
        if self.unk == "error" and (tokens == UNK).any():
            position = int((tokens == UNK).argmax())
            found = f"{text[position]!r} at {position}"
            raise ValueError(f"`text` must be of characters in the vocabulary, but has {found}")
        return tokens

    def encode_all(self, texts: Sequence[str]) -> tuple[Tokens, Counts]:
        return self.encode("".join(texts)), np.array([*map(len, texts)], dtype=np.int64)

    def last_cut(self, text: str) -> int:
        return len(text)

    def spans(self, text: str) -> Spans:
        return [(place, place + 1) for place in range(len(text))]


def _together(texts: Iterable[str]) -> Iterator[str]:
    """The texts, short ones joined: looking at one takes as long as looking at a thousand."""
    waiting: list[str] = []
    size = 0
    for text in texts:
        check_text(text)  # each by itself, for the position
        waiting.append(text)
        size += len(text)
        if size > 1 << 16:
            yield "".join(waiting)
            waiting, size = [], 0
    yield "".join(waiting)


def _codes(text: str) -> NDArray[np.unsignedinteger]:
    """The code points of `text`: UTF-32 is an array of them, and so is ASCII."""
    if text.isascii():
        return np.frombuffer(text.encode("ascii"), dtype=np.uint8)
    check_text(text)
    return np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32)


@tokenizers.register("byte")
class ByteTokenizer(Tokenizer):
    """One token for each byte of UTF-8: no text is unknown, and nothing is learned."""

    lossless = True

    def fit(self, texts: Iterable[str]) -> None:
        for text in texts:
            check_text(text)

    def encode(self, text: str) -> Tokens:
        check_text(text)
        tokens = np.frombuffer(text.encode(), dtype=np.uint8).astype(np.int64)
        tokens += len(SPECIALS)
        return tokens

    def encode_all(self, texts: Sequence[str]) -> tuple[Tokens, Counts]:
        sizes = [len(text) if text.isascii() else len(text.encode()) for text in texts]
        return self.encode("".join(texts)), np.array(sizes, dtype=np.int64)

    def last_cut(self, text: str) -> int:
        return len(text)

    def spans(self, text: str) -> Spans:
        sizes = (len(char.encode()) for char in text)
        return [(place, place + 1) for place, size in enumerate(sizes) for _ in range(size)]

    def decode(self, tokens: Iterable[int]) -> str:
        """The characters of `tokens`; one that lacks bytes at the end is left out."""
        return text_so_far(b"".join([_CONTENT[token] for token in tokens]))

    def contents(self) -> Contents:
        return Contents(_CONTENT, _CONTENT)

    def __len__(self) -> int:
        return len(_CONTENT)

    def shown(self, token: int) -> str:
        """The character where it is one byte, else such as `<0xE2>`."""
        if token < len(SPECIALS):
            return SPECIALS[token]
        byte = token - len(SPECIALS)
        return chr(byte) if byte < 0x80 else shown_byte(byte)

    def files(self) -> dict[str, bytes]:
        return {}  # all byte tokenizers are the same

    def restore(self, files: dict[str, bytes]) -> None:
        pass


_CONTENT = [b"", b"", b"", REPLACEMENT.encode(), *(bytes([byte]) for byte in range(256))]
