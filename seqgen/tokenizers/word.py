"""The tokenizer `word`: each word of the training text is a token."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Literal

import numpy as np

from seqgen.options import Size
from seqgen.tokenizers.base import UNK, Spans, Tokens, check_text, tokenizers
from seqgen.tokenizers.frequent_pieces import PieceTokenizer, VocabSize, most_frequent
from seqgen.tokenizers.word_splits import (
    LINE_END,
    SplitName,
    by_lines,
    split_by_name,
    split_by_pattern,
    word_spans,
)


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
