"""How much seqgen's training loop costs: its steps against a bare PyTorch loop of the same model.

    .venv/bin/python benchmarks/train_speed.py [--rounds 7] [--steps 40]

Both train the same network on the same batches with the same optimizer, clipping and threads, in
one process, in turn. The figure is the ratio of speeds, seqgen over bare: 1 means no overhead. The
bar is 0.95.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from seqgen.data import TextSize
from seqgen.data.batches import Epochs
from seqgen.data.text import Lanes
from seqgen.machine import keep_freed_memory
from seqgen.models import LanguageModel, models
from seqgen.training import Fit, TrainOptions

VOCAB, LANES, WINDOW = 100, 32, 64


@dataclass(frozen=True)
class Setting:
    """One size of model: embedding, hidden, and dropout on both sides of the LSTM."""

    embedding: int
    hidden: int
    dropout: float


SETTINGS = (
    Setting(64, 128, 0.0),
    Setting(64, 256, 0.0),
    Setting(64, 512, 0.0),
    Setting(64, 384, 0.2),
)


class Bare(nn.Module):
    """The network as one writes it by hand."""

    def __init__(self, setting: Setting) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCAB, setting.embedding)
        self.lstm = nn.LSTM(setting.embedding, setting.hidden, batch_first=True)
        self.linear = nn.Linear(setting.hidden, VOCAB)
        self.dropout = nn.Dropout(setting.dropout)

    def forward(
        self, tokens: Tensor, state: tuple[Tensor, Tensor] | None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """`[batch, time]` to logits `[batch, time, vocab]`."""
        outputs, state = self.lstm(self.dropout(self.embedding(tokens)), state)
        return self.linear(self.dropout(outputs)), state


def bare_steps(stream: Tensor, setting: Setting) -> Callable[[int], None]:
    """A function that takes a number of steps of a hand-written loop."""
    model = Bare(setting)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    length = (len(stream) - 1) // LANES
    inputs = stream[: LANES * length].view(LANES, length)
    targets = stream[1 : LANES * length + 1].view(LANES, length)

    def run(steps: int) -> None:
        state = None
        for step in range(steps):
            here = slice(step * WINDOW, (step + 1) * WINDOW)
            logits, state = model(inputs[:, here], state)
            state = (state[0].detach(), state[1].detach())
            loss = nn.functional.cross_entropy(logits.flatten(0, 1), targets[:, here].flatten())
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            loss.item()

    return run


def seqgen_steps(stream: Tensor, setting: Setting) -> Callable[[int], None]:
    """A function that takes a number of steps of seqgen's loop."""
    model = models.build(
        {
            "name": "language_model",
            "embedding": {"name": "learned", "size": setting.embedding},
            "cell": {"name": "lstm", "hidden_size": setting.hidden},
            "dropout": setting.dropout,
            "input_dropout": setting.dropout,
        },
        vocab_size=VOCAB,
    )
    assert isinstance(model, LanguageModel)
    size = TextSize(chars=len(stream), bytes=len(stream))
    data = Lanes(Epochs(stream), size, rows=LANES, window=WINDOW, seed=1)

    def run(steps: int) -> None:
        options = TrainOptions(lr=2e-3, max_steps=steps, validations=0)
        Fit(model, data, options, torch.device("cpu")).run()

    return run


def speed_ratio(setting: Setting, rounds: int, steps: int) -> tuple[list[float], list[float]]:
    """Seconds a step of both, round by round."""
    stream = torch.randint(VOCAB, (LANES * WINDOW * (steps + 2),))
    runs = (bare_steps(stream, setting), seqgen_steps(stream, setting))
    times: tuple[list[float], list[float]] = ([], [])
    for run in runs:
        run(5)
    for round_ in range(rounds):
        for which in (0, 1) if round_ % 2 else (1, 0):
            began = time.perf_counter()
            runs[which](steps)
            times[which].append((time.perf_counter() - began) / steps)
    return times


def main() -> None:
    """Print a row for each setting."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    keep_freed_memory()
    torch.set_num_threads(arguments.threads)
    print("embedding hidden dropout  bare ms  seqgen ms  speed ratio: median (min to max)")
    for setting in SETTINGS:
        bare, ours = speed_ratio(setting, arguments.rounds, arguments.steps)
        ratios = [a / b for a, b in zip(bare, ours, strict=True)]
        print(
            f"{setting.embedding:9} {setting.hidden:6} {setting.dropout:7}"
            f"  {1e3 * statistics.median(bare):7.2f}  {1e3 * statistics.median(ours):9.2f}"
            f"  {statistics.median(ratios):6.3f} ({min(ratios):.3f} to {max(ratios):.3f})"
        )


if __name__ == "__main__":
    main()
