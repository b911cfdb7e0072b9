"""Rows with a source and a target as tokens, and batches of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import compress
from math import inf
from typing import NamedTuple

import torch
from torch import Tensor

from seqgen.data.batches import PairBatch, Sources
from seqgen.data.padding import begun, padded
from seqgen.data.pair_rows import PairRow, rows_at
from seqgen.data.row_batches import EncodedRows, text_size
from seqgen.data.row_files import Part
from seqgen.data.sources import EncodedSource, SourceEncoder
from seqgen.errors import DataError
from seqgen.tokenizers.base import UNK

TargetEncoder = Callable[[str, int | None], Tensor]
"""What is predicted for a target text; with a seed in one of the ways to cut it."""


class EncodedPairs(NamedTuple):
    """The tokens of the sources and of the targets of some rows."""

    rows: list[PairRow]
    sources: list[EncodedSource]
    targets: list[Tensor]

    def within(self, source: int | None, target: int | None, name: str) -> tuple[EncodedPairs, str]:
        """The rows whose source and target have at most so many tokens, EOS not counted, and a
        remark where others were left out. Errors: DataError where none is left.
        """
        source_most, target_most = (inf if most is None else most for most in (source, target))
        fits = [
            len(own.joined) - 1 <= source_most and len(row) - 1 <= target_most
            for own, row in zip(self.sources, self.targets, strict=True)
        ]
        if all(fits):
            return self, ""
        limits = {"max_source_length": source, "max_target_length": target}
        said = " or ".join(f"{option} {most}" for option, most in limits.items() if most)
        if not any(fits):
            raise DataError(f"{name}: all {len(fits)} training rows are longer than {said}")
        lines = [row.line for row, fit in zip(self.rows, fits, strict=True) if not fit]
        remark = f"{name}: {rows_at(lines)} longer than {said} left out of training"
        kept = EncodedPairs(
            list(compress(self.rows, fits)),
            list(compress(self.sources, fits)),
            list(compress(self.targets, fits)),
        )
        return kept, remark

    def unknown(self) -> dict[str, list[PairRow]]:
        """For each role the rows that have tokens in it that its tokenizer does not know."""
        places = {
            "source": [source.text for source in self.sources],
            "features": [source.features for source in self.sources],
            "target": self.targets,
        }
        return {
            role: [row for row, own in zip(self.rows, tokens, strict=True) if (own == UNK).any()]
            for role, tokens in places.items()
        }

    def batched(self, has_features: bool) -> EncodedRows[PairBatch]:
        """The rows as what training and held-out parts are made of."""
        sources = [source.joined for source in self.sources]
        tokens = {"source": [source.text for source in self.sources], "target": self.targets}
        if has_features:
            tokens["features"] = [source.features for source in self.sources]

        def collate(numbers: Sequence[int]) -> PairBatch:
            values, source_lengths = padded([sources[number] for number in numbers])
            rows = [self.targets[number] for number in numbers]
            targets, lengths = padded(rows)
            places = torch.tensor(numbers, dtype=torch.long)
            return PairBatch(Sources(values, source_lengths), begun(rows), targets, lengths, places)

        lengths = [(len(a), len(b)) for a, b in zip(sources, self.targets, strict=True)]
        size = text_size([row.target for row in self.rows])
        return EncodedRows(lengths, collate, tokens, "target", size)


def encode_pairs(
    part: Part[PairRow],
    sources: SourceEncoder,
    target: TargetEncoder,
    seeds: Sequence[int] | None = None,
) -> EncodedPairs:
    """The tokens of a part's rows; with `seeds`, one for each row, in ways drawn from them.

    Errors: DataError, with the line, for what a tokenizer refuses.
    """
    encoded, targets = [], []
    for number, row in enumerate(part.rows):
        seed = None if seeds is None else seeds[number]
        role = "source"
        try:
            encoded.append(sources.encode(row.source, row.features, seed))
            role = "target"
            targets.append(target(row.target, seed))
        except ValueError as error:
            raise DataError(f"{part.name}:{row.line}: the {role}: {error}") from None
    return EncodedPairs(part.rows, encoded, targets)
