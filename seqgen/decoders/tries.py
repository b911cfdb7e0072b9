"""Tries: many texts as one tree of tokens in arrays, in which all rows take a step at once.

`tree_of` builds one and `TextTree` is what it builds; `texts_and_file` reads the options of the
constraints that have one.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from seqgen.errors import DataError
from seqgen.files import display_path, read_bytes

ROOT = 0

BASE = 1 << 24
"""More than there are tokens in any vocabulary."""

FILE_LIMIT = 1 << 28
"""Bytes at most of a file of texts: 256 MiB."""


class TextTree(NamedTuple):
    """Beginnings of token sequences, `[nodes]` each; node 0 is the empty one.

    Nodes are numbered level by level, those of a level by parent and token. So the children of a
    node have numbers in a row, and `children_of: [nodes, 2]` has the first one's and how many there
    are. `keys: [nodes + 1]`, which are `parent * BASE + token` and a last one that is none, rise
    from node to node: a look-up is a binary search. `whole` says where a sequence ends, `lacking`
    how many tokens lead to the next such node. Being a State, it goes to a device by `map_state`.
    """

    keys: Tensor
    tokens: Tensor
    children_of: Tensor
    whole: Tensor
    lacking: Tensor

    def child(self, nodes: Tensor, tokens: Tensor) -> Tensor:
        """Where `tokens: [rows]` lead from `nodes: [rows]`; ROOT where there is no such node."""
        wanted = nodes * BASE + tokens
        found = torch.searchsorted(self.keys, wanted)
        return found * (self.keys[found] == wanted)

    def children(self, nodes: Tensor) -> tuple[Tensor, Tensor]:
        """All children of `nodes: [rows]`: which row each belongs to, and its number."""
        begin, counts = self.children_of[nodes].unbind(1)
        rows = torch.repeat_interleave(counts)
        before = counts.cumsum(0) - counts
        return rows, torch.arange(len(rows), device=nodes.device) + (begin - before)[rows]


def tree_of(sequences: Sequence[Sequence[int]]) -> TextTree:
    """The tree of token sequences, a level at a time: its cost is that of sorting all tokens."""
    lengths = np.fromiter(map(len, sequences), np.int64, len(sequences))
    flat = np.fromiter(chain.from_iterable(sequences), np.int64, int(lengths.sum()))
    starts = lengths.cumsum() - lengths
    nodes = np.zeros(len(sequences), np.int64)  # where each sequence has got to
    levels, count = [np.full(1, -1, np.int64)], 1
    active = np.arange(len(sequences))
    for depth in range(int(lengths.max(initial=0))):
        active = active[lengths[active] > depth]
        keys, places = np.unique(
            nodes[active] * BASE + flat[starts[active] + depth], return_inverse=True
        )
        nodes[active] = count + places
        levels.append(keys)
        count += len(keys)
    keys = np.concatenate(levels)
    parents = keys // BASE
    whole = np.zeros(count, bool)
    whole[nodes] = True
    lacking = np.where(whole, 0, np.iinfo(np.int64).max // 2)
    ends = np.cumsum([len(level) for level in levels])
    for begin, end in zip(ends[-2::-1], ends[:0:-1], strict=True):  # the last level first
        np.minimum.at(lacking, parents[begin:end], lacking[begin:end] + 1)
    first = np.searchsorted(parents, np.arange(count + 1))
    children_of = np.stack([first[:-1], np.diff(first)], axis=1)
    ended = np.append(keys, np.iinfo(np.int64).max)
    arrays = (ended, keys % BASE, children_of, whole, lacking)
    return TextTree(*map(torch.from_numpy, arrays))


def texts_and_file(texts: Sequence[str], file: Path | None) -> list[str]:
    """`texts`, and those of `file`: UTF-8, one in each line, empty lines left out.

    Raises DataError if the file cannot be read.
    """
    if file is None:
        return [*texts]
    content = read_bytes(file, DataError, limit=FILE_LIMIT, wanted="a text in each line")
    try:
        text = content.decode().removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        place = f"{display_path(file)}:{line}"
        raise DataError(f"{place}: invalid UTF-8 at byte {error.start}; UTF-8 is needed") from None
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return [*texts, *filter(None, lines)]
