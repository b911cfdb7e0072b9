"""What a draft saves: acceptance and speed of `speculative` for a run, and the tokens that differ.

    python benchmarks/speculation.py RUN [--text FILE] [--draft SMALLER_RUN] [--tokens 200]

Each text begins with a passage of FILE (by default the recipe's first prompt alone). For each
sampler and draft, the same texts are made with and without the draft, in turn. A row has the share
of the proposed tokens that was chosen, the tokens for each call of the model, the time of the
processor without and with the draft for each token after the first, their ratio, and how many
tokens differ, of how many. `--law` compares 100,000 tokens in float64, greedy and drawn.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import torch

import seqgen
from seqgen.machine import double_precision
from seqgen.trained import TrainedRun

SAMPLERS: dict[str, dict[str, Any]] = {
    "greedy": {"name": "greedy"},
    "0.5": {"name": "multinomial", "temperature": 0.5},
    "0.8": {"name": "multinomial", "temperature": 0.8},
    "1.0": {"name": "multinomial"},
}


def texts_of(run: TrainedRun, prompts: list[str], spec: dict[str, Any], length: int) -> Any:
    """Token lists, each alone, the seconds of the processor for each token after the first (reading
    the prompt is left out), and the decoder."""
    seconds = []
    for most in (1, length):
        decoder, found = run.decoder(spec, seed=1), []
        began = time.process_time()
        for place, prompt in enumerate(prompts):
            [[output]] = run.continuations([prompt], decoder, most, sequence_ids=[place])
            found.append(output.hypothesis.tokens)
        seconds.append(time.process_time() - began)
    return found, (seconds[1] - seconds[0]) / (sum(map(len, found)) - len(found)), decoder


def measure(run: TrainedRun, prompts: list[str], draft: Any, ahead: int, args: Any) -> None:
    """A row for each sampler."""
    for name, sampler in SAMPLERS.items():
        spec = {"name": "speculative", "draft": draft, "ahead": ahead, "sampler": sampler}
        times = []
        for _ in range(args.repeats):
            plain, without, _ = texts_of(run, prompts, sampler, args.tokens)
            drafted, with_it, decoder = texts_of(run, prompts, spec, args.tokens)
            times.append((without, with_it))
        without, with_it = (min(each) for each in zip(*times, strict=True))
        pairs = [
            pair for two in zip(plain, drafted, strict=True) for pair in zip(*two, strict=True)
        ]
        differing = sum(one != other for one, other in pairs)
        kind = draft if isinstance(draft, str) else draft["name"]
        print(
            f"| {kind}, {ahead} | {name} | {decoder.accepted / max(1, decoder.proposed):.0%} "
            f"| {len(pairs) / decoder.read:.2f} | {without * 1e6:.0f} | {with_it * 1e6:.0f} "
            f"| {without / with_it:.2f} | {differing} of {len(pairs):,} |",
            flush=True,
        )


def law(run: TrainedRun, prompts: list[str], draft: Any, ahead: int, total: int) -> None:
    """How many of `total` tokens differ, greedy and drawn, in float64."""
    exact = run.in_double_precision()
    for name in ("greedy", "1.0"):
        spec = {"name": "speculative", "draft": draft, "ahead": ahead, "sampler": SAMPLERS[name]}
        differing = count = 0
        while count < total:
            length = min(1000, total - count)
            some = [prompts[count // 1000 % len(prompts)]]
            with double_precision():
                [one], [other] = (
                    [
                        h.hypothesis.tokens
                        for [h] in exact.continuations(
                            some, exact.decoder(each, seed=count), length
                        )
                    ]
                    for each in (SAMPLERS[name], spec)
                )
            differing += sum(a != b for a, b in zip(one, other, strict=True))
            count += len(one)
        print(f"{name}: {differing} of {count:,} tokens differ", flush=True)


def main() -> None:
    """Print a table, or how many tokens differ."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("run")
    parser.add_argument("--text", type=Path)
    parser.add_argument("--draft", help="a smaller run with the same tokens")
    parser.add_argument("--tokens", type=int, default=200)
    parser.add_argument("--texts", type=int, default=6)
    parser.add_argument("--prompt-chars", type=int, default=2000)
    parser.add_argument("--ahead", type=int, nargs="*", default=[4])
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--law", type=int, nargs="?", const=100_000)
    args = parser.parse_args()
    torch.set_num_threads(1)
    run = seqgen.load(args.run)
    prompts = list(run.prompts[:1]) * args.texts
    if args.text:
        text = args.text.read_text(encoding="utf-8")
        places = (len(text) * place // args.texts for place in range(args.texts))
        prompts = [text[place : place + args.prompt_chars] for place in places]
    drafts: list[Any] = ["lookup", "ngram"]
    drafts += [{"name": "model", "run": args.draft}] if args.draft else []
    if args.law:
        law(run, prompts, "lookup", args.ahead[0], args.law)
        return
    print("| draft, ahead | sampler | accepted | tokens a call | us alone | us | speed | differ |")
    print("|---|---|---|---|---|---|---|---|")
    for draft in drafts:
        for ahead in args.ahead:
            measure(run, prompts, draft, ahead, args)


if __name__ == "__main__":
    main()
