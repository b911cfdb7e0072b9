"""Steppers made of tables, whose every sequence can be scored and enumerated by hand."""

import pytest
import torch

from seqgen.decoders import Start

VOCAB = 5


class Table:
    """`log p(next | last)` as a table `[vocab, vocab]`; `seen` counts the rows of each step."""

    def __init__(self, logits):
        self.log_probs = logits.float().log_softmax(-1)
        self.seen = []

    def step(self, tokens, state, context):
        self.seen.append(len(tokens))
        return self.log_probs[tokens], state

    def start(self, batch=1, numbers=None):
        """Sources that begin behind token 0, 1, 2, ..."""
        tokens = torch.arange(batch) % len(self.log_probs)
        return Start(tokens, None, None, numbers)

    def rescore(self, start, source, tokens):
        """What the table gives to each token of a sequence, read alone from its beginning."""
        row = torch.tensor([source])
        parts = (start.tokens, start.state, start.context)
        last, state, context = (None if each is None else each[row] for each in parts)
        found = []
        for token in tokens:
            log_probs, state = self.step(last, state, context)
            found.append(float(log_probs[0, token]))
            last = torch.tensor([token])
        return found


class Deep(Table):
    """Scores that depend on all tokens before (the state) and on the source (the context).

    So they are wrong as soon as a row of the state or of the context goes astray.
    """

    def step(self, tokens, state, context):
        self.seen.append(len(tokens))
        vocab = len(self.log_probs)
        history = (3 * state + tokens + 1) % vocab
        context = context.repeat_interleave(len(tokens) // len(context), 0)
        logits = 2 * self.log_probs[tokens] + 2 * self.log_probs.T[history] + context
        return logits.log_softmax(-1), history

    def start(self, batch=1, numbers=None):
        context = torch.randn(batch, len(self.log_probs), generator=torch.manual_seed(5))
        return Start(torch.arange(batch) % 3, torch.arange(batch) % 2, context, numbers)


def logits(vocab=VOCAB, seed=1):
    return 1.5 * torch.randn(vocab, vocab, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def table():
    return Table(logits())


@pytest.fixture
def deep():
    return Deep(logits())


@pytest.fixture
def tables():
    """A function from logits `[vocab, vocab]` to a table."""
    return Table
