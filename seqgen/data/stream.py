"""A held-out stream, read in parallel lanes that agree with reading it from end to end."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor

from seqgen.data.base import Split, TextSize
from seqgen.data.batches import TokenBatch
from seqgen.state import State, leaves, reorder, select

R = TypeVar("R")
Visit = Callable[[TokenBatch, State], tuple[R, State]]

WINDOW = 256
"""How many tokens of each lane a visit reads; it bounds the memory and changes no result."""

SHORTEST_LANE = 512
"""Lanes this long forget how they began, so that two passes over them usually suffice."""

TOLERANCE = 1e-5
"""How far two states may be apart, relative to max(1, |state|), to count as the same.

Below about 2e-6 two readings of one lane differ by rounding alone: a closer look never ends.
"""


class StreamSplit(Split[TokenBatch]):
    """Tokens with one before them that is read, not predicted."""

    def __init__(self, tokens: Tensor, size: TextSize, unknown: int) -> None:
        self.tokens = len(tokens) - 1
        self.size = size
        self.unknown = unknown
        self.stream = tokens

    def walk(
        self, visit: Visit[R], initial_state: Callable[[int], State], batch_size: int
    ) -> list[R]:
        """Read the stream in up to `batch_size` lanes, each from the state that is true there.

        A lane's true first state is the one that the lane before ends in, which is not known
        before that one is read. So the first states are guessed from the lane's last 256 tokens
        before, all lanes are read, and it is checked that each began where the one before
        ended. Where they did not, they are read again from there. After k passes the first k
        lanes are exact by induction; as a rule the first pass already is, since recurrent
        states forget. The rest of the division goes behind the last lane.
        """
        rows = max(1, min(batch_size, self.tokens // SHORTEST_LANE))
        length = self.tokens // rows
        starts = initial_state(rows)
        if rows > 1:
            tail = max(0, length - WINDOW)
            _, guesses = self._read(visit, starts, tail, length, rows)
            starts = _moved_down(guesses, starts)
        for _ in range(rows):
            results, ends = self._read(visit, starts, 0, length, rows)
            expected = _moved_down(ends, initial_state(rows))
            if _same(starts, expected):
                break
            starts = expected
        rest = self.tokens - rows * length
        if rest:
            last = reorder(ends, torch.tensor([rows - 1], device=_device(ends)))
            result, _ = visit(self._batch(rows * length, self.tokens, 1), last)
            results.append(result)
        return results

    def _read(
        self, visit: Visit[R], state: State, first: int, last: int, rows: int
    ) -> tuple[list[R], State]:
        """Visit the tokens `first` to `last` of each lane."""
        results = []
        lanes = self._batch(0, rows * (self.tokens // rows), rows)
        for begin in range(first, last, WINDOW):
            here = slice(begin, min(begin + WINDOW, last))
            batch = TokenBatch(lanes.inputs[:, here], lanes.targets[:, here], None, continues=True)
            result, state = visit(batch, state)
            results.append(result)
        return results, state

    def _batch(self, first: int, last: int, rows: int) -> TokenBatch:
        inputs = self.stream[first:last].view(rows, -1)
        targets = self.stream[first + 1 : last + 1].view(rows, -1)
        return TokenBatch(inputs, targets, None, continues=True)


def _moved_down(ends: State, initial: State) -> State:
    """The state each lane should start in: lane 0 the initial one, lane k the end of lane k - 1."""
    tensors = list(leaves(ends))
    if not tensors:
        return initial
    rows = torch.arange(tensors[0].shape[0], device=tensors[0].device)
    return select(rows == 0, initial, reorder(ends, (rows - 1).clamp(min=0)))


def _same(one: State, other: State) -> bool:
    return all(
        bool(((a == b) | ((a - b).abs() <= TOLERANCE * b.abs().clamp(min=1))).all())
        for a, b in zip(_doubles(one), _doubles(other), strict=True)
    )


def _doubles(state: State) -> list[Tensor]:
    return [leaf.double() for leaf in leaves(state)]


def _device(state: State) -> torch.device | None:
    return next((leaf.device for leaf in leaves(state)), None)
