"""`FlatRows`: rows of ids in one array, so that a million rows take little more than their ids."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seqgen.tokenizers import EOS, PAD, Tokenizer

Numbers = NDArray[np.int64]

_BLOCK = 1 << 13
"""How many rows are encoded at once."""


class FlatRows:
    """The rows `ids[: lengths[0]]`, `ids[lengths[0] : lengths[0] + lengths[1]]` and so on, each a
    tensor of int64 when it is asked for. `ids` are of any kind of integer, `lengths: [rows]`."""

    def __init__(self, ids: NDArray[Any], lengths: Numbers) -> None:
        self.ids, self.lengths = ids, lengths
        self._ends = np.cumsum(lengths)

    @classmethod
    def joined(cls, blocks: Iterable[tuple[NDArray[Any], Numbers]]) -> FlatRows:
        """The ids of some rows one after the other, with their lengths, then those of more."""
        none = np.zeros(0, dtype=np.uint8), np.zeros(0, dtype=np.int64)
        ids, lengths = zip(none, *((_small(ids), sizes) for ids, sizes in blocks), strict=True)
        return cls(np.concatenate(ids), np.concatenate(lengths))

    @classmethod
    def of(cls, rows: Iterable[Tensor]) -> FlatRows:
        """The same rows. An iterator is read a part at a time."""
        rest = iter(rows)

        def blocks() -> Iterator[tuple[NDArray[Any], Numbers]]:
            while block := list(islice(rest, _BLOCK)):
                yield torch.cat(block).numpy(), np.array([*map(len, block)], dtype=np.int64)

        return cls.joined(blocks())

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, place: int) -> Tensor:
        end = self._ends[place]
        return torch.from_numpy(self.ids[end - self.lengths[place] : end].astype(np.int64))

    def __iter__(self) -> Iterator[Tensor]:
        return map(self.__getitem__, range(len(self)))

    def take(self, places: NDArray[np.integer] | Sequence[int]) -> FlatRows:
        """The rows at some places, in their order."""
        lengths = self.lengths[places]
        # Each id's place among all: that of its row's begin, and how far it is after that.
        begins = self._ends[places] - lengths
        within = np.cumsum(lengths) - lengths
        every = np.repeat(begins - within, lengths) + np.arange(lengths.sum())
        return FlatRows(self.ids[every], lengths)

    def padded(self, least: int = 0) -> tuple[Tensor, Tensor]:
        """`[rows, time]` with PAD after shorter rows, and their lengths; see `batches.padded`."""
        longest = int(self.lengths.max(initial=0)) or least
        rows = np.full((len(self), longest), PAD, dtype=np.int64)
        rows[np.arange(longest) < self.lengths[:, None]] = self.ids
        return torch.from_numpy(rows), torch.from_numpy(self.lengths.copy())


def encoded_rows(
    tokenizer: Tokenizer, texts: Sequence[str], seeds: Sequence[int | None], *, end: bool = True
) -> FlatRows:
    """The ids of each text, cut by its seed if it has one, then EOS if it is to have an `end`.
    Raises ValueError as the tokenizer does."""

    def blocks() -> Iterator[tuple[NDArray[Any], Numbers]]:
        for first in range(0, len(texts), _BLOCK):
            here = slice(first, first + _BLOCK)
            some = texts[here]
            if seeds[first] is None:
                ids, lengths = tokenizer.encode_all(some)
            else:
                cuts = zip(some, seeds[here], strict=True)
                rows = [tokenizer.sample(text, seed) for text, seed in cuts if seed is not None]
                ids, lengths = np.concatenate(rows), np.array([*map(len, rows)], dtype=np.int64)
            if end:
                ids, lengths = np.insert(ids, np.cumsum(lengths), EOS), lengths + 1
            yield ids, lengths

    return FlatRows.joined(blocks())


def _small(ids: NDArray[Any]) -> NDArray[Any]:
    """`ids` as the smallest integers that hold them."""
    bounds = (np.min_scalar_type(each) for each in (ids.min(initial=0), ids.max(initial=0)))
    return ids.astype(np.result_type(*bounds))
