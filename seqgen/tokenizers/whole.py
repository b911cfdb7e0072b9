"""The tokenizer `whole`: each text is one token, as labels, tags and words split already are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import numpy as np

from seqgen.options import Size
from seqgen.tokenizers.base import UNK, Spans, Tokens, check_text, tokenizers
from seqgen.tokenizers.frequent_pieces import PieceTokenizer, VocabSize, most_frequent


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
