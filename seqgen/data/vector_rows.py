"""Rows with a vector and a text: as tokens, as batches, and as a person reads them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from seqgen.data.base import Example
from seqgen.data.batches import PairBatch, Sources
from seqgen.data.line_rows import EncodedLines, Line, encode_lines, within
from seqgen.data.row_batches import EncodedRows
from seqgen.data.row_files import Part
from seqgen.tokenizers.base import Tokenizer


class VectorRow(NamedTuple):
    """A line, and the vector that it belongs to, `[vector_size]`."""

    line: Line
    vector: Tensor


@dataclass(frozen=True)
class VectorTexts:
    """Rows, and their lines as tokens."""

    rows: Sequence[VectorRow]
    encoded: EncodedLines

    def within(self, max_length: int | None, name: str) -> tuple[VectorTexts, str]:
        """See `line_rows.within`."""
        kept, remark = within(self.encoded, max_length, name)
        numbers = {line.number for line in kept.lines}
        return VectorTexts([row for row in self.rows if row.line.number in numbers], kept), remark

    def batched(self) -> EncodedRows[PairBatch]:
        """What training and held-out parts are made of."""
        lines = self.encoded.batched()
        vectors = torch.stack([row.vector for row in self.rows])

        def collate(numbers: Sequence[int]) -> PairBatch:
            batch = lines.collate(numbers)
            places = torch.tensor([*numbers])
            sources = Sources(vectors[places], torch.ones_like(places))
            assert batch.lengths is not None  # lines are of any length
            return PairBatch(sources, batch.inputs, batch.targets, batch.lengths, places)

        tokens = {"target": self.encoded.targets}
        return EncodedRows(lines.lengths, collate, tokens, "target", lines.size)


def encode_texts(
    part: Part[VectorRow], tokenizer: Tokenizer, seed: Sequence[int] | None = None
) -> VectorTexts:
    """The rows with the tokens of their lines; see `encode_lines`. Errors: DataError."""
    lines = [row.line for row in part.rows]
    return VectorTexts(part.rows, encode_lines(lines, part.name, tokenizer, seed))


def examples_of(rows: Sequence[VectorRow]) -> tuple[Example, ...]:
    """Each vector once, written out, with all its different texts, as they come first."""
    found: dict[str, dict[str, None]] = {}
    for row in rows:
        found.setdefault(written(row.vector), {})[row.line.text] = None
    return tuple(Example(source, tuple(texts)) for source, texts in found.items())


def written(vector: Tensor) -> str:
    """The numbers with a space between two, as few digits as tell the float32 numbers apart."""
    return " ".join(map(str, vector.numpy()))


def vector_of(text: str, vector_size: int) -> Tensor:
    """The vector that is written in `text`, `[vector_size]`. Errors: ValueError."""
    words = text.split()
    wanted = f"{vector_size} numbers with spaces between"
    if len(words) != vector_size:
        raise ValueError(f"`text` must be {wanted}, but has {len(words)} words")
    try:
        vector = torch.tensor([float(word) for word in words], dtype=torch.float32)
    except ValueError as error:
        raise ValueError(f"`text` must be {wanted}, but: {error}") from None
    if not vector.isfinite().all():
        word = words[int((~vector.isfinite()).nonzero()[0])]
        raise ValueError(f"`text` must be {wanted}, but {word!r} is no finite float32")
    return vector
