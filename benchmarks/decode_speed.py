"""How fast text is generated token by token, against a loop written by hand.

    .venv/bin/python benchmarks/decode_speed.py [--rounds 9] [--tokens 300] [--long 60000]

A language model with embeddings of 64, an LSTM of 128 and 100 tokens, on one thread. *By hand* is
LSTMCell, linear, softmax and multinomial; *by hand, table* has embedding and input product of each
token in one table. A *long* text of one row is made by a compiled function. All take turns; of each
the fastest round counts, in processor time, so other programs on the machine matter little. A
figure is the microseconds of a step of all rows; the ratio is the hand-written loop's time over
seqgen's.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import torch
from torch import nn

from seqgen.decoders import (
    Decoder,
    Greedy,
    Limits,
    MinP,
    Multinomial,
    TopK,
    TopP,
    Typical,
    WithoutTokens,
)
from seqgen.models import LanguageModel, evaluating, models

VOCAB, EMBEDDING, HIDDEN = 100, 64, 128

DECODERS: dict[str, Decoder] = {
    "multinomial": Multinomial(),
    "multinomial at 0.8": Multinomial(temperature=0.8),
    "greedy": Greedy(),
    "top_k": TopK(10),
    "top_p": TopP(0.9),
    "min_p": MinP(0.1),
    "typical": Typical(0.95),
}

Loop = Callable[[int], None]
"""Generates so many tokens for each row."""


class ByHand(nn.Module):
    """The network and its loop as one writes them."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCAB, EMBEDDING)
        self.cell = nn.LSTMCell(EMBEDDING, HIDDEN)
        self.linear = nn.Linear(HIDDEN, VOCAB)

    def loop(self, rows: int) -> Loop:
        """The plain loop."""

        @torch.no_grad()
        def run(tokens: int) -> None:
            last = torch.zeros(rows, dtype=torch.long)
            state = (torch.zeros(rows, HIDDEN), torch.zeros(rows, HIDDEN))
            found = []
            for _ in range(tokens):
                state = self.cell(self.embedding(last), state)
                last = torch.multinomial(self.linear(state[0]).softmax(-1), 1).squeeze(1)
                found.append(last)
            torch.stack(found, 1).tolist()

        return run

    def table_loop(self, rows: int) -> Loop:
        """With one table for embedding and input product."""

        @torch.inference_mode()
        def run(tokens: int) -> None:
            cell = self.cell
            bias = cell.bias_ih + cell.bias_hh
            table = nn.functional.linear(self.embedding.weight, cell.weight_ih, bias)
            recurrent, out = cell.weight_hh.t(), self.linear.weight.t()
            last = torch.zeros(rows, dtype=torch.long)
            hidden, memory = torch.zeros(rows, HIDDEN), torch.zeros(rows, HIDDEN)
            found = []
            for _ in range(tokens):
                gates = torch.addmm(table.index_select(0, last), hidden, recurrent)
                i, f, g, o = gates.chunk(4, 1)
                memory = f.sigmoid() * memory + i.sigmoid() * g.tanh()
                hidden = o.sigmoid() * memory.tanh()
                logits = torch.addmm(self.linear.bias, hidden, out)
                last = torch.multinomial(logits.softmax(-1), 1).squeeze(1)
                found.append(last)
            torch.stack(found, 1).tolist()

        return run


def model_of(cell: str) -> LanguageModel:
    """The same network in seqgen, with random weights."""
    model = models.build(
        {
            "name": "language_model",
            "embedding": {"name": "learned", "size": EMBEDDING},
            "cell": {"name": cell, "hidden_size": HIDDEN},
        },
        vocab_size=VOCAB,
    )
    assert isinstance(model, LanguageModel)
    return model.eval()


def loop_of(model: LanguageModel, decoder: Decoder, rows: int) -> Loop:
    """What `generate` does for `rows` prompts, without text."""
    from seqgen.data import Prompts

    prompts = Prompts(torch.ones(rows, 1, dtype=torch.long), torch.ones(rows, dtype=torch.long))

    def run(tokens: int) -> None:
        with evaluating(model):
            stepper = WithoutTokens(model.stepper(rows * tokens), [0, 1, 2, 3])
            decoder.decode(stepper, model.start(prompts), Limits(tokens))

    return run


def fastest(loops: dict[str, Loop], tokens: int, rounds: int) -> dict[str, float]:
    """Microseconds of a step of each, in the fastest of `rounds`, in which all take turns."""
    found = dict.fromkeys(loops, float("inf"))
    for loop in loops.values():
        loop(10)
    for _ in range(rounds):
        for name, loop in loops.items():
            began = time.process_time()
            loop(tokens)
            found[name] = min(found[name], 1e6 * (time.process_time() - began) / tokens)
    return found


def main() -> None:
    """Print a row for each way to generate."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--tokens", type=int, default=300)
    parser.add_argument("--long", type=int, default=60_000)
    parser.add_argument("--rows", type=int, nargs="+", default=[1, 64])
    parser.add_argument("--cell", default="lstm")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(1)
    hand, model = ByHand(), model_of(arguments.cell)
    columns, sizes = [], [(rows, arguments.tokens, arguments.rounds) for rows in arguments.rows]
    if arguments.long:
        sizes.append((1, arguments.long, 3))
    for rows, tokens, rounds in sizes:
        loops = {"by hand": hand.loop(rows), "by hand, table": hand.table_loop(rows)}
        loops |= {name: loop_of(model, decoder, rows) for name, decoder in DECODERS.items()}
        columns.append(fastest(loops, tokens, rounds))
    titles = [f"batch {rows}, {tokens:,} tokens, us | ratio" for rows, tokens, _ in sizes]
    print(f"| | {' | '.join(titles)} |\n|---|{'---|---|' * len(columns)}")
    for name in columns[0]:
        cells = [f"{each[name]:.0f} | {each['by hand'] / each[name]:.2f} x" for each in columns]
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
