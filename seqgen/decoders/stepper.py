"""What a search begins from: a Stepper, the Start of its sources, and their Limits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from seqgen.state import State


class Stepper(Protocol):
    """All that a decoder knows of a model. What changes scores wraps one and is one again."""

    def step(self, tokens: Tensor, state: State, context: State) -> tuple[Tensor, State]:
        """Read `tokens: [rows]`; return log-probabilities `[rows, vocab]` and the next state.

        `state` has a row for each of `rows`, `context` one for each source. `rows` is k times the
        sources, where rows i*k to i*k + k - 1 belong to source i: with 2 sources of 3 paths each,
        rows 0 1 2 read context 0 and rows 3 4 5 read context 1. A decoder keeps k the same for all
        sources, or reorders the context down to k = 1.
        """
        ...


class Start(NamedTuple):
    """Where generation begins, for each source of a batch.

    `tokens: [batch]` is what the first step reads, `state` has a row for each source, `context`
    never changes. `numbers: [batch]` names the sequences, for decoders that draw at random: what
    is drawn depends on the seed and the number alone. Without it they are 0, 1, 2, ...
    """

    tokens: Tensor
    state: State
    context: State = None
    numbers: Tensor | None = None


@dataclass(frozen=True)
class Limits:
    """When a sequence is over.

    `max_length` counts generated tokens, the end token included; one number for all sources or
    one for each. `ends` are the tokens that end a sequence (none: only the length ends it).
    """

    max_length: int | Sequence[int]
    ends: tuple[int, ...] = ()

    def lengths(self, start: Start) -> Tensor:
        """The maximum length of each source, `[batch]`."""
        batch = start.tokens.shape[0]
        if isinstance(self.max_length, int):
            return torch.full((batch,), self.max_length, device=start.tokens.device)
        if len(self.max_length) != batch:
            raise ValueError(
                f"`max_length` must have {batch} numbers, but has {len(self.max_length)}"
            )
        return torch.tensor(self.max_length, device=start.tokens.device)
