"""The tokenizer `word`: each word of the training text is a token."""

from __future__ import annotations

import importlib.util
import json
import re
from abc import ABC
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Annotated, ClassVar, Literal, cast

import numpy as np
from pydantic import Field

from seqgen.options import Size
from seqgen.tokenizers.base import (
    REPLACEMENT,
    SPECIALS,
    UNK,
    Spans,
    Tokenizer,
    Tokens,
    check_text,
    shown_plainly,
    tokenizers,
)

# Ways to split a text into words: our own, and those of torchtext by name.


Split = Callable[[str], list[str]]
SplitName = Literal[
    "whitespace", "exact", "basic_english", "spacy", "moses", "toktok", "revtok", "subword"
]

LINE_END = "\n"

_NEEDED = {
    "spacy": "spacy",
    "moses": "sacremoses",
    "toktok": "nltk",
    "revtok": "revtok",
    "subword": "revtok",
}
"""The package that a kind of torchtext takes its work from."""

_EXACT = re.compile(r" ?\w+| ?[^\w\s]+|\s+(?!\S)|\s")
"""Words and marks, each with one space before it, and what else there is of spaces: together they
are the text."""


_WHITESPACE = re.compile(r"\S+")


def split_by_name(name: SplitName) -> Split:
    """The function that splits. Errors: ValueError where a package that it needs is missing."""
    if name == "whitespace":
        return str.split
    if name == "exact":
        return _EXACT.findall
    needed = _NEEDED.get(name)
    if needed is not None and importlib.util.find_spec(needed) is None:
        raise ValueError(f"`split: {name}` needs the package {needed}, which is not installed")
    return partial(_by_torchtext, name)


def split_by_pattern(pattern: str) -> Split:
    """The function that finds all matches. Errors: ValueError for what is no pattern."""
    try:
        compiled = re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        message = f"`pattern` must be a regular expression, but is {pattern!r}: {error}"
        raise ValueError(message) from None
    return partial(_matches, compiled)


def by_lines(split: Split) -> Split:
    """The function that splits each line by `split`, each end of a line being a word, too."""
    return partial(_by_lines, split)


def word_spans(split: Split, text: str) -> list[tuple[int, int]] | None:
    """Where the words that `split` finds stand in `text`; None where they do not stand there."""
    if isinstance(split, partial) and split.func is _by_lines:
        return _spans_by_lines(split.args[0], text)
    own = _WHITESPACE if split is str.split else _EXACT
    pattern = split.args[0] if isinstance(split, partial) else own
    if isinstance(pattern, re.Pattern):
        return [match.span() for match in pattern.finditer(text) if match[0]]
    spans, place = [], 0
    for word in split(text):
        start = text.find(word, place) if isinstance(word, str) else -1
        if start < 0:
            return None
        place = start + len(word)
        spans.append((start, place))
    return spans


def _spans_by_lines(split: Split, text: str) -> list[tuple[int, int]] | None:
    spans, begin = [], 0
    for line in text.split(LINE_END):
        found = word_spans(split, line)
        if found is None:
            return None
        end = begin + len(line)
        spans += [(begin + start, begin + stop) for start, stop in found]
        spans.append((end, end + 1))
        begin = end + 1
    return spans[:-1]  # the text ends, its last line does not


def _by_lines(split: Split, text: str) -> list[str]:
    first, *others = text.split(LINE_END)
    words = split(first)
    for line in others:
        words.append(LINE_END)
        words += split(line)
    return words


def _matches(pattern: re.Pattern[str], text: str) -> list[str]:
    return [match[0] for match in pattern.finditer(text) if match[0]]


def _by_torchtext(name: str, text: str) -> list[str]:
    from torchtext.data.utils import get_tokenizer  # here: few recipes need it

    try:
        return cast(Split, get_tokenizer(name))(text)
    except OSError as error:  # spacy without its model of English
        raise ValueError(f"`split: {name}` cannot be loaded: {error}") from None


# Tokenizers whose tokens are pieces of text by frequency: which are taken, and their file.


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


@tokenizers.register("word")
class WordTokenizer(PieceTokenizer):
    """One token for each word, the most frequent first; words that are as frequent by code point.

    `split` says what a word is: `whitespace`, `exact` (words and marks with the space before
    them, so that no space is lost), `basic_english` or another kind that torchtext has. A regular
    expression, `pattern`, comes before it: then its matches are the words. The vocabulary is the
    words that are there `min_count` times, at most as many as make `vocab_size` ids. Other words
    become UNK, unless `unk: error` refuses them. But for `exact` text comes back with one space
    between two words. With `line_ends` each end of a line is a token, too, as in the published
    figures of language models on WikiText or the Penn Treebank; it comes back without spaces.
    """

    file = "words.json"

    def __init__(
        self,
        split: SplitName = "whitespace",
        pattern: str | None = None,
        vocab_size: VocabSize | None = None,
        min_count: Size = 1,
        lower: bool = False,
        unk: Literal["token", "error"] = "token",
        line_ends: bool = False,
    ) -> None:
        exact = split == "exact" and pattern is None
        self.lossless = exact and not lower
        self._split = split_by_name(split) if pattern is None else split_by_pattern(pattern)
        self.between = "" if exact else " "
        self._vocab_size = vocab_size
        self._min_count = min_count
        self._lower = lower
        self._unk = unk
        self._line_ends = line_ends
        if line_ends:
            self._split = by_lines(self._split)
        self._pattern = pattern
        self.set_pieces([])

    def fit(self, texts: Iterable[str]) -> None:
        """Count the words of `texts` and keep the most frequent ones. Raises ValueError if texts
        that are not blank leave none."""
        counts: Counter[str] = Counter()
        blank = True
        for text in texts:
            counts.update(self._words(text))
            blank = blank and not text.strip()
        if not blank and not counts.keys() - {LINE_END}:
            what = "`split`" if self._pattern is None else f"`pattern` {self._pattern!r}"
            raise ValueError(f"{what} must find words in the training text, but finds none")
        self.set_pieces(most_frequent(counts, self._min_count, self._vocab_size))

    def encode(self, text: str) -> Tokens:
        """One id for each word; all else of the text is lost unless `split` is `exact`."""
        words = self._words(text)
        tokens = np.array([self._ids.get(word, UNK) for word in words], dtype=np.int64)
        if self._unk == "error" and (tokens == UNK).any():
            word = words[int((tokens == UNK).argmax())]
            raise ValueError(f"`text` must be of known words, but has {word!r}")
        return tokens

    def spans(self, text: str) -> Spans | None:
        """The words; None for kinds of torchtext that change what stands there."""
        check_text(text)
        if not self._lower:
            return word_spans(self._split, text)
        # Some capitals are two characters in lower case.
        places = [place for place, char in enumerate(text) for _ in char.lower()]
        lower = text.lower()
        found = word_spans(self._split, lower) if len(lower) == len(places) else None
        return found and [(places[start], places[end - 1] + 1) for start, end in found]

    def decode(self, tokens: Iterable[int]) -> str:
        """The words with one space between two on a line; UNK is U+FFFD, other specials nothing."""
        if not self._line_ends or not self.between:
            return super().decode(tokens)
        lines: list[list[str]] = [[]]
        for token in tokens:
            if token >= UNK and self._pieces[token] == LINE_END:
                lines.append([])
            elif token >= UNK:
                lines[-1].append(self._pieces[token])
        return LINE_END.join(self.between.join(line) for line in lines)

    def _words(self, text: str) -> list[str]:
        check_text(text)
        return self._split(text.lower() if self._lower else text)


# The tokenizer `whole`: each text is one token, as labels, tags and words split already are.


@tokenizers.register("whole")
class WholeTokenizer(PieceTokenizer):
    """One token for each text as it is, the most frequent first; equals go by code point.

    The vocabulary is the texts that are there `min_count` times, at most as many as make
    `vocab_size` ids, all in lower case where `lower` is set; other texts become UNK. The empty
    text is no token: it has none. Several tokens are read with a space between two, so a text
    comes back as it was, but where two texts end is not to be seen.
    """

    file = "texts.json"

    def __init__(
        self, vocab_size: VocabSize | None = None, min_count: Size = 1, lower: bool = False
    ) -> None:
        self.lossless = not lower
        self._vocab_size = vocab_size
        self._min_count = min_count
        self._lower = lower
        self.set_pieces([])

    def fit(self, texts: Iterable[str]) -> None:
        """Count the texts that are equal and keep the most frequent ones."""
        counts = Counter(text.lower() if self._lower else text for text in texts)
        for text in counts:
            check_text(text)
        del counts[""]
        self.set_pieces(most_frequent(counts, self._min_count, self._vocab_size))

    def encode(self, text: str) -> Tokens:
        """One id; none for the empty text."""
        check_text(text)
        token = self._ids.get(text.lower() if self._lower else text, UNK)
        return np.array([token] if text else [], dtype=np.int64)

    def spans(self, text: str) -> Spans:
        """All of the text."""
        return [(0, len(text))] if text else []
