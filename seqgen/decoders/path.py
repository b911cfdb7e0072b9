"""Decoders that extend one path for each source, which can be walked token by token."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from seqgen.decoders.base import Decoder, Hypothesis
from seqgen.decoders.scores import open_rows
from seqgen.decoders.stepper import Limits, Start, Stepper
from seqgen.state import reorder


class Extension(NamedTuple):
    """One step of a walk, all `[rows]`: the sources still alive, their new tokens, what the
    stepper gave to these (log-probabilities), and which of the rows end with this step."""

    sources: Tensor
    tokens: Tensor
    log_probs: Tensor
    finished: Tensor


class PathDecoder(Decoder, ABC):
    """A decoder that picks one token for each row and never looks back.

    A subclass says which token. A row that ends leaves the batch at once.
    """

    @abstractmethod
    def choose(self, log_probs: Tensor, numbers: Tensor, moment: int) -> Tensor:
        """The next token of each row, `[rows]`, from `log_probs: [rows, vocab]`.

        `numbers: [rows]` are the sequences' numbers and `moment` counts the tokens before this
        one: all that a random choice may depend on besides the seed.
        """

    def walk(self, stepper: Stepper, start: Start, limits: Limits) -> Iterator[Extension]:
        """Yield one Extension a step until every row has ended.

        A row at a dead end leaves without another token: it is neither finished nor at its limit.
        """
        tokens, state, context, numbers = start
        room = limits.lengths(start)
        sources = torch.arange(tokens.shape[0], device=tokens.device)
        numbers = sources if numbers is None else numbers
        ends = torch.tensor(limits.ends, dtype=tokens.dtype, device=tokens.device)
        keep = room > 0
        moment = 0
        while True:
            if not bool(keep.all()):
                rows = keep.nonzero().squeeze(1)
                tokens, state, context = reorder((tokens, state, context), rows)
                sources, numbers, room = reorder((sources, numbers, room), rows)
            if not len(sources):
                return
            log_probs, state = stepper.step(tokens, state, context)
            going = open_rows(log_probs, sources, moment)
            if not bool(going.all()):
                rows = going.nonzero().squeeze(1)
                log_probs, state, context = reorder((log_probs, state, context), rows)
                sources, numbers, room = reorder((sources, numbers, room), rows)
            if not len(sources):
                return
            tokens = self.choose(log_probs, numbers, moment)
            chosen = log_probs.gather(1, tokens.unsqueeze(1)).squeeze(1)
            finished = torch.isin(tokens, ends)
            moment += 1
            keep = ~finished & (room > moment)
            yield Extension(sources, tokens, chosen, finished)

    def decode(self, stepper: Stepper, start: Start, limits: Limits) -> list[list[Hypothesis]]:
        """One hypothesis for each source."""
        batch = start.tokens.shape[0]
        tokens: list[list[int]] = [[] for _ in range(batch)]
        log_probs: list[list[float]] = [[] for _ in range(batch)]
        scores = [0.0] * batch  # token by token, which `sum` would do more exactly than a beam does
        finished = [False] * batch
        room = limits.lengths(start).tolist()
        for extension in self.walk(stepper, start, limits):
            columns = (column.tolist() for column in extension)
            for source, token, log_prob, ended in zip(*columns, strict=True):
                tokens[source].append(token)
                log_probs[source].append(log_prob)
                scores[source] += log_prob
                finished[source] = ended
        return [
            [
                Hypothesis(
                    tuple(tokens[i]),
                    scores[i],
                    finished[i],
                    tuple(log_probs[i]),
                    satisfied=finished[i] or len(tokens[i]) == room[i],
                )
            ]
            for i in range(batch)
        ]
