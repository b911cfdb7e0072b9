"""Tagged sequences as tokens, and the batches that are made of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from seqgen.data.base import Example
from seqgen.data.batches import PairBatch, Sources
from seqgen.data.padding import begun, padded
from seqgen.data.row_batches import EncodedRows, text_size
from seqgen.data.tagged_file import TaggedSequence
from seqgen.data.word_tokens import letters_of, one_each, padded_letters, padded_words
from seqgen.tokenizers.base import UNK, Tokenizers

T = TypeVar("T")


@dataclass(frozen=True)
class TaggedRows:
    """For each sequence its words and its tags, `[time]`, and the letters of each word."""

    sequences: Sequence[TaggedSequence]
    words: Sequence[Tensor]
    tags: Sequence[Tensor]
    letters: Sequence[Sequence[Tensor]] | None = None

    @classmethod
    def of(
        cls,
        sequences: Sequence[TaggedSequence],
        tokenizers: Tokenizers,
        letters: bool,
        max_letters: int | None,
    ) -> TaggedRows:
        """The tokens of `sequences`. Errors: DataError where a word or a tag is not one token."""
        words = [sequence.words for sequence in sequences]
        tags = [sequence.tags for sequence in sequences]
        return cls(
            sequences,
            one_each(words, tokenizers["source"], "source"),
            one_each(tags, tokenizers["target"], "target"),
            letters_of(words, tokenizers["letters"], max_letters) if letters else None,
        )

    def lengths(self) -> list[tuple[int]]:
        """The number of words of each."""
        return [(len(row),) for row in self.words]

    def forgetting(self, rate: float, seed: Sequence[int]) -> TaggedRows:
        """The same where a share `rate` of the words, drawn from `seed` alone, is unknown."""
        ends = np.cumsum([len(row) for row in self.words])
        drawn = np.random.default_rng([*seed]).random(ends[-1]) < rate
        masks = map(torch.from_numpy, np.split(drawn, ends[:-1]))
        words = [row.masked_fill(mask, UNK) for row, mask in zip(self.words, masks, strict=True)]
        return replace(self, words=words)

    def encoded(self) -> EncodedRows[PairBatch]:
        """What training and held-out parts are made of."""
        tokens = {"source": self.words, "target": self.tags}
        if self.letters is not None:
            tokens["letters"] = [torch.cat([*row]) for row in self.letters]
        size = text_size([" ".join(sequence.tags) for sequence in self.sequences])
        return EncodedRows(self.lengths(), self.batch, tokens, "target", size)

    def batch(self, numbers: Sequence[int]) -> PairBatch:
        """Some of the sequences, by their numbers."""
        tags = _these(self.tags, numbers)
        targets, lengths = padded(tags)
        sources = self.sources(numbers)
        return PairBatch(sources, begun(tags), targets, lengths, torch.tensor([*numbers]))

    def sources(self, numbers: Sequence[int]) -> Sources:
        """The words of some of the sequences."""
        values, lengths = padded_words(_these(self.words, numbers))
        if self.letters is None:
            return Sources(values, lengths)
        return Sources(values, lengths, *padded_letters(_these(self.letters, numbers)))


def examples_of(sequences: Sequence[TaggedSequence]) -> list[Example]:
    """Each of them, also where its words come again: every tag of a part counts."""
    return [Example(" ".join(each.words), (" ".join(each.tags),)) for each in sequences]


def _these(rows: Sequence[T], numbers: Sequence[int]) -> list[T]:
    return [rows[number] for number in numbers]
