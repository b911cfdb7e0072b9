"""Parts written against the contracts as they were: each with the names of then."""

import hashlib

import torch

from seqgen.cells import Cell, cells
from seqgen.data import Data, Prompts, Split, TextSize, TokenBatch, Training, data
from seqgen.decoders import (
    Constraint,
    Decoder,
    Hypothesis,
    PastConstraint,
    constraints,
    decoders,
)
from seqgen.registry import Registry

CALLED = set()
"""What the package has called of the parts, for a test to look at."""

things = Registry("thing", finishing=lambda made, twice=False: made * 2 if twice else made)


@things.register("one")
def one() -> int:
    return 1


@cells.register("old_cell")
class OldCell(Cell):
    """A counter in its state, which is set back where a state is carried on."""

    def __init__(self, input_size: int) -> None:
        super().__init__()
        self.output_size = 3
        self.map = torch.nn.Linear(input_size, 3)

    def initial_state(self, batch_size):
        return self.map.weight.new_zeros(batch_size, 3)

    def step(self, x, state):
        output = torch.tanh(self.map(x) + state)
        return output, output

    def renew(self, state):
        CALLED.add("renew")
        return state


class OldTraining(Training[TokenBatch]):
    def __init__(self, rows, texts):
        self.rows = rows
        self.tokens = sum(row.numel() - 1 for row in rows)
        self.size = TextSize(sum(map(len, texts)), sum(len(each.encode()) for each in texts))
        self.steps_per_epoch = len(rows)

    def batch(self, step):
        CALLED.add("batch")
        row = self.rows[step % len(self.rows)]
        return TokenBatch(row[:, :-1], row[:, 1:], None, True)


class OldSplit(Split[TokenBatch]):
    unknown = 0

    def __init__(self, rows, texts):
        self.training = OldTraining(rows, texts)
        self.tokens = self.training.tokens
        self.size = self.training.size

    def walk(self, visit, initial_state, batch_size):
        CALLED.add("walk")
        results = []
        for step in range(self.training.steps_per_epoch):
            results.append(visit(self.training.batch(step), initial_state(1))[0])
        return results


@data.register("old_data")
class OldData(Data[TokenBatch]):
    """The same sentence, in two windows."""

    roles = ("text",)
    output_role = "text"
    usual_tokenizers = {"text": "byte"}
    ends = False
    continues = True

    def __init__(self, text: str = "a sentence of old") -> None:
        self.text = text

    def training_texts(self):
        CALLED.add("training_texts")
        return {"text": [self.text]}

    def rows(self, tokenizers):
        tokens = torch.as_tensor(tokenizers["text"].encode(self.text)).unsqueeze(0)
        return [tokens[:, :9], tokens[:, 8:]]

    def training(self, tokenizers):
        return OldTraining(self.rows(tokenizers), [self.text])

    def held_out(self, name, tokenizers):
        CALLED.add(f"held_out {name}")
        return OldSplit(self.rows(tokenizers), [self.text])

    def prompts(self, texts, tokenizers):
        CALLED.add("prompts")
        rows = [[1, *map(int, tokenizers["text"].encode(each))] for each in texts]
        lengths = torch.tensor([len(row) for row in rows])
        tokens = torch.zeros(len(rows), int(lengths.max()), dtype=torch.long)
        for place, row in enumerate(rows):
            tokens[place, : len(row)] = torch.tensor(row)
        return Prompts(tokens, lengths)

    def fingerprint(self):
        return {"old": hashlib.sha256(self.text.encode()).hexdigest()}

    def remarks(self):
        CALLED.add("remarks")
        return ("an old remark",)


@constraints.register("old_constraint")
class OldConstraint(PastConstraint):
    """No token comes twice in a row."""

    def change(self, log_probs, past, ends):
        CALLED.add("change")
        last = past.last(1)
        known = last >= 0
        banned = torch.zeros_like(log_probs, dtype=torch.bool).scatter(1, last.clamp(min=0), known)
        return log_probs.masked_fill(banned, float("-inf"))


@constraints.register("old_wrapper")
class OldWrapper(Constraint):
    """Changes nothing, by wrapping."""

    def wrap(self, stepper, start, limits, batch):
        CALLED.add("wrap")
        return stepper, start

    def least_tokens(self, batch):
        CALLED.add("least_tokens")
        return 1


@decoders.register("old_decoder")
class OldDecoder(Decoder):
    """Greedy, written as a search of its own; the second token depends on the sequence's number."""

    draws = True

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    def decode(self, stepper, start, limits):
        CALLED.add("decode")
        batch = len(start.tokens)
        numbers = torch.arange(batch) if start.numbers is None else start.numbers
        tokens, state = start.tokens, start.state
        found = [[] for _ in range(batch)]
        scores = [[] for _ in range(batch)]
        for step in range(int(limits.lengths(start).min())):
            log_probs, state = stepper.step(tokens, state, start.context)
            rank = (numbers + self.seed) % 2 if step == 1 else torch.zeros(batch, dtype=torch.long)
            tokens = log_probs.argsort(1, descending=True)[torch.arange(batch), rank]
            for row in range(batch):
                found[row].append(int(tokens[row]))
                scores[row].append(float(log_probs[row, tokens[row]]))
        return [
            [Hypothesis(tuple(own), sum(score), False, tuple(score))]
            for own, score in zip(found, scores, strict=True)
        ]
