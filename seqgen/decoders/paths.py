"""Paths, the sequences that a search of many follows at once, and how the best are picked."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from seqgen.decoders.base import Hypothesis
from seqgen.state import reorder

IMPOSSIBLE = float("-inf")
"""The score of a row that holds no path: it stands in where a source has fewer than others."""


class Paths(NamedTuple):
    """Sequences of equal length, one a row.

    `tokens` and `log_probs` are `[rows, time]`, `scores: [rows]` the sums of the `log_probs`, all
    but the tokens in float64. Being a State, they are moved about by `reorder`.
    """

    tokens: Tensor
    log_probs: Tensor
    scores: Tensor

    @classmethod
    def empty(cls, rows: int, device: torch.device) -> Paths:
        """`rows` paths without a token."""
        return cls(
            torch.empty(rows, 0, dtype=torch.long, device=device),
            torch.empty(rows, 0, dtype=torch.float64, device=device),
            torch.zeros(rows, dtype=torch.float64, device=device),
        )

    @property
    def length(self) -> int:
        """The number of tokens that each path has."""
        return self.tokens.shape[1]

    def extend(self, growth: Growth) -> Paths:
        """The paths that `growth` says."""
        rows, tokens, log_probs, scores = (each.flatten() for each in growth)
        old = reorder(self, rows)
        return Paths(
            torch.cat([old.tokens, tokens.unsqueeze(1)], 1),
            torch.cat([old.log_probs, log_probs.unsqueeze(1).double()], 1),
            scores,
        )

    def hypotheses(
        self, growth: Growth, finished: Tensor, ranks: Tensor | None = None
    ) -> list[Hypothesis]:
        """The paths that `growth` says, which are over; all of it and its companions `[paths]`."""
        grown = self.extend(growth)
        columns = [each.tolist() for each in (grown.tokens, grown.scores, finished)]
        tokens, scores, ends = columns
        log_probs = grown.log_probs.tolist()
        places = [None] * len(tokens) if ranks is None else ranks.tolist()
        return [
            Hypothesis(tuple(tokens[i]), scores[i], ends[i], tuple(log_probs[i]), places[i])
            for i in range(len(tokens))
        ]


class Growth(NamedTuple):
    """How paths go on, one token each, all of one shape.

    `rows` says which row of the Paths goes on, with which of the `tokens`, whose `log_probs` these
    are; `scores` are the sums with it, IMPOSSIBLE where this is no path.
    """

    rows: Tensor
    tokens: Tensor
    log_probs: Tensor
    scores: Tensor

    def at(self, columns: Tensor) -> Growth:
        """Those at `columns: [rows, count]` of each row."""
        return Growth(*(each.gather(1, columns) for each in self))


def best(scores: Tensor, count: int) -> Tensor:
    """The places of the `count` highest in each row of `scores: [rows, columns]`, best first.

    Of equals the leftmost: `topk` may pick any of them, and another one in a batch of another size.
    """
    count = min(count, scores.shape[1])
    values, columns = scores.topk(min(count + 1, scores.shape[1]))
    if bool((values[:, count - 1 : -1] == values[:, count:]).any()):  # equals at the edge
        columns = _leftmost(scores, values[:, count - 1 : count], count)
    else:
        columns = columns[:, :count].sort(1).values
    order = scores.gather(1, columns).sort(stable=True, dim=1, descending=True).indices
    return columns.gather(1, order)


def _leftmost(scores: Tensor, edge: Tensor, count: int) -> Tensor:
    """The places above `edge: [rows, 1]`, with the first ones at it to make up `count`."""
    above, level = scores > edge, scores == edge
    room = count - above.sum(1, keepdim=True)
    picked = above | (level & (level.cumsum(1) <= room))
    return picked.nonzero()[:, 1].view(-1, count)
