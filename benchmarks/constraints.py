"""What lists of many texts cost: `allowed` and `forbid` with 0 and 20,000 texts, in turn.

    python benchmarks/constraints.py [--texts 20000] [--rounds 5]

Generates with an untrained model of the size that the recipes have, by drawing one text, drawing
64 at once, and a beam of 5 for 8 sources; prints the seconds of the best round for each, how often
that is the time without texts, and the seconds that it takes to build the constraint. `allowed` is
compared with the same number of steps without it.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from seqgen.cells import LSTM
from seqgen.data import Prompts
from seqgen.decoders import AllowedTexts, Constraint, ForbiddenTexts, Limits, constrain, decoders
from seqgen.models import LanguageModel, evaluating

VOCAB_SIZE, LENGTH = 69, 64
SEARCHES: dict[str, tuple[int, dict[str, Any]]] = {
    "1 text": (1, {"name": "multinomial"}),
    "64 texts": (64, {"name": "multinomial"}),
    "beam of 5, 8 sources": (8, {"name": "beam", "beam_size": 5}),
}


def main() -> None:
    """Print a table in Markdown."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--texts", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(1)
    draw = random.Random(1)
    long = [_text(draw, LENGTH) for _ in range(options.texts)]
    short = [_text(draw, draw.randint(3, 9)) for _ in range(options.texts)]
    begun = time.perf_counter()
    allowed = AllowedTexts(tuple(long), vocab_size=VOCAB_SIZE, encode=_tokens)
    middle = time.perf_counter()
    forbidden = ForbiddenTexts(tuple(short), encode=_tokens)
    built = (middle - begun, time.perf_counter() - middle)
    print("| | none | allowed | forbid |\n|---|---|---|---|")
    print(f"| building | | {built[0]:.2f} s | {built[1]:.2f} s |")
    model = LanguageModel(vocab_size=VOCAB_SIZE, cell=partial(LSTM, hidden_size=256))
    for name, (batch, spec) in SEARCHES.items():
        decoder = decoders.build(spec, seed=1, vocab_size=VOCAB_SIZE)
        runs = [
            partial(_generate, model, decoder, batch, chosen)
            for chosen in ((), (allowed,), (forbidden,))
        ]
        plain, *others = _best_of(runs, options.rounds)
        cells = [f"{plain:.3f} s", *(f"{each:.3f} s, {each / plain:.2f}" for each in others)]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


def _generate(model: Any, decoder: Any, batch: int, chosen: tuple[Constraint, ...]) -> None:
    limits = Limits(LENGTH)
    ones = torch.ones(batch, 1, dtype=torch.long)
    prompts = Prompts(ones, ones[:, 0])
    with evaluating(model):
        start = model.start(prompts)
        decoder.decode(*constrain(chosen, model, start, limits), limits)


def _best_of(runs: list[Callable[[], None]], rounds: int) -> list[float]:
    """The seconds of each, the best of several rounds in which each has its turn."""
    best = [float("inf")] * len(runs)
    for _ in range(rounds):
        for place, run in enumerate(runs):
            begun = time.perf_counter()
            run()
            best[place] = min(best[place], time.perf_counter() - begun)
    return best


def _text(draw: random.Random, length: int) -> str:
    return "".join(chr(draw.randrange(4, VOCAB_SIZE)) for _ in range(length))


def _tokens(text: str) -> list[int]:
    return [*map(ord, text)]


if __name__ == "__main__":
    main()
