"""A model made of tables, whose every sequence can be scored by reading it alone."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from seqgen.decoders import Start
from seqgen.state import State

VOCAB = 5


class TableModel:
    """A Stepper: the next token depends on all before it (the state) and on the source (context).

    So its scores are wrong as soon as a decoder lets a row of the state or the context go astray.
    """

    def __init__(self, seed: int = 1) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.table = 1.5 * torch.randn(VOCAB, VOCAB, generator=generator)
        self.context = torch.randn(64, VOCAB, generator=generator)
        self.fault: float | None = None
        self.steps = 0

    def step(self, tokens: Tensor, state: State, context: State) -> tuple[Tensor, State]:
        """`tokens: [rows]` to log-probabilities `[rows, vocab]`; `fault` is put into row 1."""
        assert isinstance(state, Tensor)
        assert isinstance(context, Tensor)
        self.steps += 1
        history = (3 * state + tokens + 1) % VOCAB
        context = context.repeat_interleave(len(tokens) // len(context), 0)
        logits = 2 * self.table[tokens] + 2 * self.table.T[history] + context
        log_probs = logits.log_softmax(-1)
        if self.fault is not None:
            log_probs[1, 3] = self.fault
        return log_probs, history

    def start(self, batch: int, numbers: Tensor | None = None) -> Start:
        """The first `batch` of up to 64 sources."""
        rows = torch.arange(batch)
        return Start(rows % 3, rows % 2, self.context[:batch], numbers)

    def rescore(self, source: int, tokens: Sequence[int]) -> list[float]:
        """What the model gives to each of `tokens`, read alone from the start of the source."""
        last, state = torch.tensor([source % 3]), torch.tensor([source % 2])
        following: State = state
        found = []
        for token in tokens:
            context = self.context[source : source + 1]
            log_probs, following = self.step(last, following, context)
            found.append(float(log_probs[0, token]))
            last = torch.tensor([token])
        return found
