"""The tokenizers `word` and `whole`: each word, or each text, of the training data is a token."""

from __future__ import annotations

import importlib.util
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import chain, repeat
from pathlib import Path
from typing import Annotated, Literal, cast

import numpy as np
from pydantic import Field

from seqgen.options import Size
from seqgen.tokenizers import base
from seqgen.tokenizers.base import SPECIALS, UNK, Contents, PieceTokenizer, Spans, Tokens
from seqgen.tokenizers.pieces import read_ready

Split = Callable[[str], list[str]]
SplitName = Literal[
    "whitespace", "exact", "basic_english", "spacy", "moses", "toktok", "revtok", "subword"
]
VocabSize = Annotated[int, Field(gt=len(SPECIALS))]

LINE_END = "\n"

_WHITESPACE = re.compile(r"\S+")
_EXACT = re.compile(r" ?\w+| ?[^\w\s]+|\s+(?!\S)|\s")
"""Words and marks, each with one space before it, and what else there is of spaces: together they
are the text."""

_PACKAGES = {
    "spacy": "spacy",
    "moses": "sacremoses",
    "toktok": "nltk",
    "revtok": "revtok",
    "subword": "revtok",
}
"""The package that torchtext needs for a kind of splitting."""


@dataclass(frozen=True)
class Splitter:
    """How a text is cut into words: by `split`, whose words are the matches of `pattern` if it has
    one. With `line_ends` each end of a line but the last is a word, too. A text may be cut before
    each character of `between`, unless there is white space before it."""

    split: Split
    pattern: re.Pattern[str] | None
    line_ends: bool = False
    between: str = ""

    def words(self, text: str) -> list[str]:
        """The words of `text` in their order."""
        lines = text.split(LINE_END) if self.line_ends else [text]
        return list(chain.from_iterable([*self.split(line), LINE_END] for line in lines))[:-1]

    def last_cut(self, text: str) -> int:
        """The last place at which no word begins earlier or ends later, whatever follows."""
        signs = self.between or LINE_END * self.line_ends
        place = max((text.rfind(sign) for sign in signs), default=0)
        while place > 0 and text[place - 1].isspace():
            place = max(text.rfind(sign, 0, place) for sign in signs)
        return max(0, place)

    def spans(self, text: str) -> Spans | None:
        """The places of the words in `text`; None where `split` has changed them."""
        spans, begin = [], 0
        for line in text.split(LINE_END) if self.line_ends else [text]:
            found = self._spans(line)
            if found is None:
                return None
            spans += [(begin + start, begin + end) for start, end in found]
            begin += len(line) + 1
            spans.append((begin - 1, begin))
        return spans[:-1]

    def _spans(self, text: str) -> Spans | None:
        if self.pattern is not None:
            return [match.span() for match in self.pattern.finditer(text) if match[0]]
        spans, place = [], 0
        for word in self.split(text):
            start = text.find(word, place) if isinstance(word, str) else -1
            if start < 0:
                return None
            place = start + len(word)
            spans.append((start, place))
        return spans


def make_splitter(name: SplitName, pattern: str | None, line_ends: bool = False) -> Splitter:
    """The splitter by name, or by the regular expression `pattern` if there is one.

    Raises ValueError if `pattern` is invalid, or a package that torchtext needs is not installed.
    """
    if pattern is not None:
        try:
            compiled = re.compile(pattern)
        except (re.error, OverflowError, RecursionError) as error:
            message = f"`pattern` must be a regular expression, but is {pattern!r}: {error}"
            raise ValueError(message) from None
        return Splitter(partial(_matches, compiled), compiled, line_ends)
    if name == "whitespace":
        return Splitter(str.split, _WHITESPACE, line_ends, " \n")
    if name == "exact":
        return Splitter(_EXACT.findall, _EXACT, line_ends, " \n")
    package = _PACKAGES.get(name)
    if package is not None and importlib.util.find_spec(package) is None:
        raise ValueError(f"`split: {name}` needs the package {package}, which is not installed")
    between = LINE_END if name == "basic_english" else ""  # the others look further
    return Splitter(partial(_split_by_torchtext, name), None, line_ends, between)


def _matches(pattern: re.Pattern[str], text: str) -> list[str]:
    return [match[0] for match in pattern.finditer(text) if match[0]]


def _split_by_torchtext(name: str, text: str) -> list[str]:
    from torchtext.data.utils import get_tokenizer  # here: few recipes need it

    try:
        return cast(Split, get_tokenizer(name))(text)
    except OSError as error:  # spacy without its model of English
        raise ValueError(f"`split: {name}` cannot be loaded: {error}") from None


def most_frequent(counts: Mapping[str, int], min_count: int, vocab_size: int | None) -> list[str]:
    """The pieces that occur `min_count` times, at most as many as make `vocab_size` ids.

    The most frequent come first, ties go by code point: the order of `counts` does not matter.
    Raises ValueError if no piece occurs so often.
    """
    frequent = [piece for piece, count in counts.items() if count >= min_count]
    if counts and not frequent:
        most = f"at most {max(counts.values())}, as often as the most frequent one occurs"
        raise ValueError(f"`min_count` must be {most}, but is {min_count}")
    frequent.sort(key=lambda piece: (-counts[piece], piece))
    return frequent if vocab_size is None else frequent[: vocab_size - len(SPECIALS)]


@base.tokenizers.register("word")
@dataclass(eq=False)
class WordTokenizer(PieceTokenizer):
    """One token for each word, the most frequent first; ties go by code point.

    `split` says what a word is: `whitespace`, `exact` (words and marks with the space before
    them, so that no space is lost), `basic_english` or another kind that torchtext has. A regular
    expression, `pattern`, takes its place: then its matches are the words. The vocabulary is the
    words that occur `min_count` times, at most as many as make `vocab_size` ids, or the first ones
    of a `vocabulary_file`, a JSON list in the order of their ids. Other words become UNK, unless
    `unk: error` refuses them. Except for `exact`, text comes back with one space between two words.
    With `line_ends` each end of a line is a token, too, as in the published figures of language
    models on WikiText or the Penn Treebank; it comes back without spaces.
    """

    split: SplitName = "whitespace"
    pattern: str | None = None
    vocab_size: VocabSize | None = None
    min_count: Size = 1
    lower: bool = False
    unk: Literal["token", "error"] = "token"
    line_ends: bool = False
    vocabulary_file: Path | None = None

    file = "words.json"

    def __post_init__(self) -> None:
        exact = self.split == "exact" and self.pattern is None
        self.lossless = exact and not self.lower
        self.between = "" if exact else " "
        self.splitter = make_splitter(self.split, self.pattern, self.line_ends)
        self.set_pieces([])

    def fit(self, texts: Iterable[str]) -> None:
        """Count the words of `texts` and keep the most frequent ones, or read the vocabulary.

        Raises ValueError if texts that are not blank have no words, or the file has none.
        """
        counts: Counter[str] = Counter()
        blank = True
        for text in texts:
            counts.update(self._words(text))
            blank = blank and not text.strip()
        if not blank and not counts.keys() - {LINE_END}:
            what = "`split`" if self.pattern is None else f"`pattern` {self.pattern!r}"
            raise ValueError(f"{what} must find words in the training text, but finds none")
        if self.vocabulary_file is None:
            self.set_pieces(most_frequent(counts, self.min_count, self.vocab_size))
        else:
            self._read(self.vocabulary_file)

    def _read(self, path: Path) -> None:
        content = read_ready(path, "vocabulary_file", "a JSON list of words")
        try:
            self.restore({self.file: content})
        except ValueError:
            wanted = f"{self.vocabulary}, as JSON"
            raise ValueError(f"`vocabulary_file` {path} must be {wanted}, but is not") from None
        if self.vocab_size is not None:
            self.set_pieces(self._pieces[len(SPECIALS) : self.vocab_size])

    def last_cut(self, text: str) -> int:
        return self.splitter.last_cut(text)

    def encode(self, text: str) -> Tokens:
        words = self._words(text)
        found = map(self._ids.get, words, repeat(UNK))
        tokens = np.fromiter(found, dtype=np.int64, count=len(words))
        if self.unk == "error" and (tokens == UNK).any():
            word = words[int((tokens == UNK).argmax())]
            raise ValueError(f"`text` must be of words in the vocabulary, but has {word!r}")
        return tokens

    def spans(self, text: str) -> Spans | None:
        """The places of the words; None for kinds of torchtext that change them."""
        base.check_text(text)
        if not self.lower:
            return self.splitter.spans(text)
        # Some capitals are two characters in lower case.
        places = [place for place, char in enumerate(text) for _ in char.lower()]
        lower = text.lower()
        found = self.splitter.spans(lower) if len(lower) == len(places) else None
        return found and [(places[start], places[end - 1] + 1) for start, end in found]

    def decode(self, tokens: Iterable[int]) -> str:
        if not self.line_ends or not self.between:
            return super().decode(tokens)
        lines: list[list[str]] = [[]]
        for piece in (self._pieces[token] for token in tokens if token >= UNK):
            if piece == LINE_END:
                lines.append([])
            else:
                lines[-1].append(piece)
        return LINE_END.join(map(self.between.join, lines))

    def contents(self) -> Contents | None:
        every, end = super().contents(), self._ids.get(LINE_END)
        if every is None or end is None or not (self.line_ends and self.between):
            return every
        later = [*every.later]
        later[end] = every.first[end]
        return Contents(every.first, later, frozenset([end]))

    def _words(self, text: str) -> list[str]:
        base.check_text(text)
        return self.splitter.words(text.lower() if self.lower else text)


@base.tokenizers.register("whole")
@dataclass(eq=False)
class WholeTokenizer(PieceTokenizer):
    """One token for each whole text, the most frequent first; ties go by code point.

    It is for labels, tags, and words that are split already. The vocabulary is the texts that occur
    `min_count` times, at most as many as make `vocab_size` ids, all in lower case where `lower` is
    set; other texts become UNK. The empty text has no token. Decoding puts a space between two
    texts, so one comes back as it was, but where two texts meet cannot be seen.
    """

    vocab_size: VocabSize | None = None
    min_count: Size = 1
    lower: bool = False

    file = "texts.json"

    def __post_init__(self) -> None:
        self.lossless = not self.lower
        self.set_pieces([])

    def fit(self, texts: Iterable[str]) -> None:
        counts = Counter(text.lower() if self.lower else text for text in texts)
        for text in counts:
            base.check_text(text)
        del counts[""]
        self.set_pieces(most_frequent(counts, self.min_count, self.vocab_size))

    def encode(self, text: str) -> Tokens:
        base.check_text(text)
        token = self._ids.get(text.lower() if self.lower else text, UNK)
        return np.array([token] if text else [], dtype=np.int64)

    def spans(self, text: str) -> Spans:
        return [(0, len(text))] if text else []
