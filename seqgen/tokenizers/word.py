"""The tokenizer `word`: each word of the training text is a token."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from seqgen.options import Size
from seqgen.tokenizers.base import (
    SPECIALS,
    UNK,
    Tokenizer,
    Tokens,
    check_text,
    shown_plainly,
    tokenizers,
)
from seqgen.tokenizers.utf8 import REPLACEMENT
from seqgen.tokenizers.word_splits import SplitName, split_by_name, split_by_pattern

VocabSize = Annotated[int, Field(gt=len(SPECIALS))]


@tokenizers.register("word")
class WordTokenizer(Tokenizer):
    """One token for each word, the most frequent first; words that are as frequent by code point.

    `split` says what a word is: `whitespace`, `exact` (words and marks with the space before
    them, so that no space is lost), `basic_english` or another kind that torchtext has. A regular
    expression, `pattern`, comes before it: then its matches are the words. The vocabulary is the
    words that are there `min_count` times, at most as many as make `vocab_size` ids. Other words
    become UNK, unless `unk: error` refuses them. But for `exact` text comes back with one space
    between two words.
    """

    def __init__(
        self,
        split: SplitName = "whitespace",
        pattern: str | None = None,
        vocab_size: VocabSize | None = None,
        min_count: Size = 1,
        lower: bool = False,
        unk: Literal["token", "error"] = "token",
    ) -> None:
        exact = split == "exact" and pattern is None
        self.lossless = exact and not lower
        self._split = split_by_name(split) if pattern is None else split_by_pattern(pattern)
        self._between = "" if exact else " "
        self._vocab_size = vocab_size
        self._min_count = min_count
        self._lower = lower
        self._unk = unk
        self._set([])

    def fit(self, texts: Iterable[str]) -> None:
        """Count the words of `texts` and keep the most frequent ones."""
        counts: Counter[str] = Counter()
        for text in texts:
            counts.update(self._words(text))
        often = [word for word, count in counts.items() if count >= self._min_count]
        often.sort(key=lambda word: (-counts[word], word))
        limit = None if self._vocab_size is None else self._vocab_size - len(SPECIALS)
        self._set(often[:limit])

    def encode(self, text: str) -> Tokens:
        """One id for each word; all else of the text is lost unless `split` is `exact`."""
        words = self._words(text)
        tokens = np.array([self._ids.get(word, UNK) for word in words], dtype=np.int64)
        if self._unk == "error" and (tokens == UNK).any():
            word = words[int((tokens == UNK).argmax())]
            raise ValueError(f"`text` must be of known words, but has {word!r}")
        return tokens

    def decode(self, tokens: Iterable[int]) -> str:
        """The words of `tokens` with a space between; UNK is U+FFFD, other specials are nothing."""
        return self._between.join([self._pieces[token] for token in tokens if token >= UNK])

    def __len__(self) -> int:
        return len(self._pieces)

    def shown(self, token: int) -> str:
        """The word; in quotes where it looks like a special token."""
        return SPECIALS[token] if token < len(SPECIALS) else shown_plainly(self._pieces[token])

    def files(self) -> dict[str, bytes]:
        """The words as a JSON list, in the order of their ids."""
        text = json.dumps(self._pieces[len(SPECIALS) :], ensure_ascii=True, indent=0)
        return {"words.json": text.encode("ascii")}

    def restore(self, files: dict[str, bytes]) -> None:
        """From `words.json`."""
        self._set(_read_words(files.get("words.json", b"")))

    def _words(self, text: str) -> list[str]:
        check_text(text)
        return self._split(text.lower() if self._lower else text)

    def _set(self, words: list[str]) -> None:
        self._pieces = ["", "", "", REPLACEMENT, *words]
        self._ids = {word: token for token, word in enumerate(words, len(SPECIALS))}


def _read_words(content: bytes) -> list[str]:
    """The words that `files` wrote."""
    try:
        words: list[str] = json.loads(content)
        check_text("".join(words))
        if isinstance(words, list) and all(words) and len(set(words)) == len(words):
            return words
    except (ValueError, TypeError, RecursionError):  # not JSON, or not words
        pass
    raise ValueError("`words.json` must be a list of different words, but is not")
