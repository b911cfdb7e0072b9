"""The contract of a tokenizer: text to token ids and back, fitted once."""

from __future__ import annotations

import codecs
import hashlib
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from seqgen.errors import CheckpointError, SetupError
from seqgen.files import RECORD_LIMIT, read_bytes, write_file
from seqgen.registry import Registry

tokenizers: Registry[Tokenizer] = Registry("tokenizer")

PAD, BOS, EOS, UNK = 0, 1, 2, 3
SPECIALS = ("<pad>", "<bos>", "<eos>", "<unk>")
"""How special tokens are shown. Text that looks like one is plain text, never its id."""

Tokens = NDArray[np.int64]

Spans = list[tuple[int, int]]
"""Where tokens stand in a text, as `text[start:end]`."""


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
        """The ids of `text`, without begin or end. Errors: ValueError for lone surrogates."""

    def sample(self, text: str, seed: int) -> Tokens:
        """The ids of `text` for an epoch of training: where `samples` is true, one of the ways to
        cut it into pieces, drawn from `seed` alone."""
        return self.encode(text)

    def spans(self, text: str) -> Spans | None:
        """Where each token of `encode(text)` stands in `text`; None where that cannot be told.

        Where a character is several tokens, each has the whole of it. This finds tokens that are
        words between spaces, or characters, and looks whether each of them alone is the same token.
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
        """The text of `tokens`; begin, end and padding vanish."""

    def continuation(self, before: Iterable[int], tokens: Iterable[int]) -> str:
        """The text that `tokens` add behind `before`.

        Not `decode(tokens)`: a tokenizer may put a space between two tokens, or need several for
        one character.
        """
        first = list(before)
        return self.decode([*first, *tokens])[len(self.decode(first)) :]

    @abstractmethod
    def __len__(self) -> int:
        """The number of ids, the four special ones included."""

    @abstractmethod
    def shown(self, token: int) -> str:
        """One token as a person reads it, e.g. in a table of probabilities."""

    @abstractmethod
    def files(self) -> dict[str, bytes]:
        """What `save` writes: file names and contents, the same bytes from run to run."""

    @abstractmethod
    def restore(self, files: dict[str, bytes]) -> None:
        """Take the vocabulary from what `files` returned. Errors: ValueError if it is damaged."""

    def save(self, folder: Path) -> None:
        """Write the fitted vocabulary into `folder`. Raises SetupError if that cannot be done."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SetupError(f"{folder}: cannot be written: {error.strerror}") from None
        for name, content in self.files().items():
            write_file(folder / name, content)

    def fingerprint(self) -> str:
        """The SHA-256 of what `save` writes: two tokenizers with the same one are the same."""
        files = self.files()
        parts = [f"{name}:{hashlib.sha256(files[name]).hexdigest()}" for name in sorted(files)]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def load(self, folder: Path) -> None:
        """Read what `save` wrote. Raises CheckpointError if something in `folder` is no file."""
        self.restore(
            {
                path.name: read_bytes(path, CheckpointError, limit=RECORD_LIMIT)
                for path in sorted(folder.iterdir())
            }
        )


Tokenizers = Mapping[str, Tokenizer]
"""A tokenizer for each role that the data has, such as `text`, or `source` and `target`."""

TokenizerFactory = Annotated[Callable[..., Tokenizer], tokenizers]


def check_text(text: str) -> None:
    """A ValueError that names the position of a lone surrogate, which is no character."""
    try:
        text.encode("utf-32-le")
    except UnicodeEncodeError as error:
        code = ord(text[error.start])
        raise ValueError(
            f"`text` must be Unicode characters, but has a lone surrogate U+{code:04X} "
            f"at position {error.start}"
        ) from None


def shown_plainly(piece: str) -> str:
    """`piece` as it is; in quotes where it looks like a special token, to tell it from that."""
    return f"'{piece}'" if piece.strip("'") in SPECIALS else piece


# Facts about a vocabulary, from which a part of a new model may start: pieces and counts.


Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Facts:
    """What `shown` gives for each id, and how often each id stands in the training tokens.

    `counts: [vocab]`, or None where the kind of data does not count.
    """

    pieces: tuple[str, ...]
    counts: Counts | None = None


MOST_IDS = 1 << 24
"""More than any vocabulary has: counting an id beyond would take memory for all below it."""


def count_ids(ids: NDArray[np.int64]) -> Counts:
    """How often each id stands in `ids: [count]`. Raises ValueError, with the place, if one is
    negative or larger than any vocabulary."""
    wrong = np.flatnonzero((ids < 0) | (ids >= MOST_IDS))
    if len(wrong):
        place = f"token {wrong[0] + 1} of the training text"
        raise ValueError(f"the tokenizer gave the id {ids[wrong[0]]} for {place}, which none has")
    return np.bincount(ids)


def gather_facts(tokenizers: Tokenizers, counts: Mapping[str, Counts]) -> dict[str, Facts]:
    """The facts of each role. `counts` may end early: ids behind its end were never seen."""
    return {
        role: Facts(
            tuple(tokenizer.shown(token) for token in range(len(tokenizer))),
            _padded(counts[role], len(tokenizer), role) if role in counts else None,
        )
        for role, tokenizer in tokenizers.items()
    }


def _padded(counts: Counts, size: int, role: str) -> Counts:
    if len(counts) > size:
        found = f"gave the id {len(counts) - 1}, but has {size} ids (0 to {size - 1})"
        raise ValueError(f"the tokenizer of '{role}' {found}")
    return np.pad(counts, (0, size - len(counts)))


# UTF-8 that comes in pieces: the text of bytes, some of which may be missing yet.


REPLACEMENT = "\ufffd"


def text_so_far(content: bytes) -> str:
    """The characters in `content`; faulty bytes are U+FFFD.

    A character at the end that has not all its bytes yet is nothing, so the text of a longer
    `content` always begins with the text of a shorter one.
    """
    return codecs.getincrementaldecoder("utf-8")("replace").decode(content)


def shown_byte(byte: int) -> str:
    """Such as `<0xE2>`, for a byte that is no character by itself."""
    return f"<0x{byte:02X}>"
