"""Parts of seqgen in a plain PyTorch program: a cell, a training loop, a decoder of one's own.

Run it with `python docs/examples/library.py`: it takes a few seconds.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from seqgen.cells import cells
from seqgen.decoders import Limits, PathDecoder, Start, decoders
from seqgen.decoders.noise import uniform
from seqgen.options import Share
from seqgen.state import State
from seqgen.tokenizers import BOS, EOS, Tokenizer, tokenizers

WORDS = ["banana", "bandana", "cabana", "panama", "havana", "nirvana", "savanna", "ocarina"]


class WordModel(nn.Module):
    """An embedding, a cell of seqgen and a linear layer. With `step` it is a stepper: any decoder
    of seqgen can search in it."""

    def __init__(self, vocab_size: int, cell: str = "lstm", hidden_size: int = 32) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, 16)
        self.cell = cells.build(cell, input_size=16, hidden_size=hidden_size)
        self.output = nn.Linear(self.cell.output_size, vocab_size)

    def forward(self, tokens: Tensor) -> Tensor:
        """`[batch, time]` to logits `[batch, time, vocab]`."""
        hidden, _ = self.cell(self.embedding(tokens), self.cell.initial_state(len(tokens)))
        logits: Tensor = self.output(hidden)
        return logits

    def step(self, tokens: Tensor, state: State, context: State) -> tuple[Tensor, State]:
        hidden, state = self.cell.step(self.embedding(tokens), state)
        return self.output(hidden).log_softmax(-1), state


@dataclass
class Daring(PathDecoder):
    """The best token, or with the probability `daring` the second best."""

    seed: int = 0
    daring: Share = 0.2

    def choose(self, log_probs: Tensor, sequence_ids: Tensor, step: int) -> Tensor:
        best = log_probs.topk(2).indices
        second = uniform(self.seed, sequence_ids, step) < self.daring
        return best.gather(1, second.long().unsqueeze(1)).squeeze(1)


def train(model: WordModel, tokenizer: Tokenizer, steps: int) -> float:
    """An ordinary loop over all words at once; returns the last loss, in nats per token."""
    encoded = [torch.as_tensor(tokenizer.encode(word)) for word in WORDS]
    read = [torch.cat([torch.tensor([BOS]), ids]) for ids in encoded]
    wanted = [torch.cat([ids, torch.tensor([EOS])]) for ids in encoded]
    inputs = nn.utils.rnn.pad_sequence(read, batch_first=True)
    targets = nn.utils.rnn.pad_sequence(wanted, batch_first=True, padding_value=-100)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    loss = torch.zeros(())
    for _ in range(steps):
        optimizer.zero_grad()
        loss = functional.cross_entropy(model(inputs).flatten(0, 1), targets.flatten())
        loss.backward()  # type: ignore[no-untyped-call]  # torch has no type for it
        optimizer.step()
    return loss.item()


def write(model: WordModel, tokenizer: Tokenizer, steps: int = 20) -> dict[str, list[str]]:
    """Words as several decoders find them."""
    start = Start(torch.tensor([BOS]), model.cell.initial_state(1))
    limits = Limits(steps, ends=(EOS,))
    chosen = {
        "beam": decoders.build("beam", beam_size=4, n_best=4),
        "top_p": decoders.build("top_p", p=0.9, seed=3),
        "daring": Daring(seed=1, daring=0.5),
    }
    with torch.no_grad():
        found = {name: each.decode(model, start, limits)[0] for name, each in chosen.items()}
    return {name: [tokenizer.decode(each.tokens) for each in own] for name, own in found.items()}


def main(steps: int = 150) -> dict[str, list[str]]:
    """Train, and write words."""
    torch.manual_seed(1)
    tokenizer = tokenizers.build("char")
    tokenizer.fit(WORDS)
    model = WordModel(len(tokenizer))
    loss = train(model, tokenizer, steps)
    print(f"{loss:.2f} nats per token")
    return write(model, tokenizer)


if __name__ == "__main__":
    for name, words in main().items():
        print(name, *words)
