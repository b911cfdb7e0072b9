"""How fast a beam search is, against JoeyNMT 2.3 on an equal model.

    .venv/bin/python benchmarks/beam_speed.py [--peer .peers/bin/python] [--rounds 3]

The model: bidirectional LSTM of 256 and embeddings of 128, decoder LSTM of 256, general attention,
input feeding, with the same random weights on both sides. 512 sources of 5 to 30 tokens in batches
of 32; each output has as many tokens as 1.5 times the longest source of its batch, the end token
being impossible, so both sides do the same work, and they must find the same tokens. The rounds of
both sides take turns; of each batch the fastest round counts. The peer is built by peers.sh; where
it is not there, a plain beam search by hand stands in for it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor

from seqgen.data import Sources
from seqgen.decoders import Beam, Limits, WithoutTokens
from seqgen.models import Seq2Seq, evaluating, models

EMBEDDING, HIDDEN = 128, 256
SPECIALS = [0, 1, 2, 3]


def clock() -> float:
    """Seconds; with one thread those of the processor, so other programs hardly matter."""
    return time.process_time() if torch.get_num_threads() == 1 else time.perf_counter()


class Batch(NamedTuple):
    """Sources, the longest first, and the number of tokens of each output."""

    sources: Sources
    steps: int


Found = list[tuple[float, list[list[int]]]]
"""Of each batch its seconds, and the tokens of its outputs."""


def model_of(vocab: int) -> Seq2Seq:
    """The model, with random weights."""
    learned = {"name": "learned", "size": EMBEDDING}
    cell = {"name": "lstm", "hidden_size": HIDDEN}
    model = models.build(
        {
            "name": "seq2seq",
            "encoder": {"name": "bidirectional", "embedding": learned, "cell": cell},
            "cell": cell,
            "embedding": learned,
            "attention": "general",
            "head": {"name": "linear", "bias": False},
            "input_feeding": True,
        },
        vocab_size=vocab,
        source={"vocab_size": vocab},
    )
    assert isinstance(model, Seq2Seq)
    with torch.no_grad():  # what JoeyNMT can say, too: both parts of the state from hidden vectors
        weight, bias = model.bridge.linear.weight, model.bridge.linear.bias
        for memory in (1, 3):
            weight[:, memory * HIDDEN : (memory + 1) * HIDDEN] = 0
        weight[HIDDEN:], bias[HIDDEN:] = weight[:HIDDEN].clone(), bias[:HIDDEN].clone()
        model.head.project.weight.mul_(4)  # so that probabilities differ
    return model.eval()


def batches_of(vocab: int, sources: int, rows: int) -> list[Batch]:
    """Random sources of 5 to 30 tokens."""
    found = []
    for _ in range(0, sources, rows):
        lengths = torch.randint(5, 31, (rows,)).sort(descending=True).values
        values = torch.randint(4, vocab, (rows, int(lengths[0])))
        values = values.masked_fill(torch.arange(len(values[0])) >= lengths.unsqueeze(1), 1)
        found.append(Batch(Sources(values, lengths), int(1.5 * int(lengths[0]))))
    return found


def by_seqgen(model: Seq2Seq, batches: Sequence[Batch], beam: int) -> Found:
    """What seqgen's `beam` finds."""
    found = []
    decoder = Beam(beam)
    for batch in batches:
        began = clock()
        with evaluating(model):
            start = model.start(batch.sources)
            stepper = WithoutTokens(model.stepper(len(start.tokens) * batch.steps), SPECIALS)
            hypotheses = decoder.decode(stepper, start, Limits(batch.steps))
        seconds = clock() - began
        found.append((seconds, [[*own[0].tokens] for own in hypotheses]))
    return found


def by_hand(model: Seq2Seq, batches: Sequence[Batch], beam: int) -> Found:
    """A beam search as one writes it for such a model, memory copied for each path."""
    found = []
    for batch in batches:
        began = clock()
        with torch.no_grad():
            tokens, state, context = model.start(batch.sources)[:3]
            state, context = (_repeated(each, beam) for each in (state, context))
            last, count = tokens.repeat_interleave(beam), len(tokens)
            first = torch.arange(count).unsqueeze(1) * beam
            scores = torch.full((count, beam), float("-inf"))
            scores[:, 0] = 0
            paths = last.new_empty(count * beam, 0)
            for _ in range(batch.steps):
                log_probs, state = model.step(last, state, context)
                log_probs[:, SPECIALS] = float("-inf")
                totals = (scores.view(-1, 1) + log_probs).view(count, -1)
                scores, places = totals.topk(beam)
                rows = (first + places // log_probs.shape[1]).flatten()
                last = (places % log_probs.shape[1]).flatten()
                paths = torch.cat([paths[rows], last.unsqueeze(1)], 1)
                state = _moved(state, rows)
        found.append((clock() - began, paths[::beam].tolist()))
    return found


def _repeated(state: Any, times: int) -> Any:
    return _mapped(lambda each: each.repeat_interleave(times, 0), state)


def _moved(state: Any, rows: Tensor) -> Any:
    return _mapped(lambda each: each[rows], state)


def _mapped(change: Callable[[Tensor], Tensor], state: Any) -> Any:
    if isinstance(state, Tensor):
        return change(state)
    if state is None:
        return None
    parts = [_mapped(change, each) for each in state]
    return getattr(type(state), "_make", tuple)(parts)


class Peer:
    """JoeyNMT in a process of its own, with the same weights and batches."""

    def __init__(self, python: str, model: Seq2Seq, batches: Sequence[Batch], folder: Path) -> None:
        saved = {
            "threads": torch.get_num_threads(),
            "sizes": {
                "vocab": len(model.embedding.table()),
                "embedding": EMBEDDING,
                "hidden": HIDDEN,
            },
            "weights": model.state_dict(),
            "batches": [
                {
                    "sources": each.sources.values,
                    "lengths": each.sources.lengths,
                    "steps": each.steps,
                }
                for each in batches
            ],
        }
        torch.save(saved, folder / "saved.pt")
        script = Path(__file__).with_name("joeynmt_peer.py")
        command = [python, "-W", "ignore", str(script), str(folder / "saved.pt")]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        if self._line().strip() != "ready":
            sys.exit(f"{python}: JoeyNMT did not start; build it with benchmarks/peers.sh")

    def __call__(self, model: Seq2Seq, batches: Sequence[Batch], beam: int) -> Found:
        assert self.process.stdin is not None
        print(beam, file=self.process.stdin, flush=True)
        answer = json.loads(self._line())
        return list(zip(answer["seconds"], answer["tokens"], strict=True))

    def _line(self) -> str:
        assert self.process.stdout is not None
        return cast(str, self.process.stdout.readline())


def measure(
    sides: Sequence[Callable[..., Found]],
    model: Seq2Seq,
    batches: Sequence[Batch],
    *,
    beam: int,
    rounds: int,
) -> tuple[list[float], float]:
    """Sentences a second of each side, and the share of outputs in which the sides agree."""
    fastest = [[float("inf")] * len(batches) for _ in sides]
    outputs: list[list[list[int]]] = [[] for _ in sides]
    for _ in range(rounds):
        for place, side in enumerate(sides):
            found = side(model, batches, beam)
            seconds = [each for each, _ in found]
            fastest[place] = [*map(min, fastest[place], seconds)]
            outputs[place] = [tokens for _, own in found for tokens in own]
    pairs = zip(*outputs, strict=True)
    agreed = sum(all(each == own[0] for each in own) for own in pairs) / len(outputs[0])
    return [len(outputs[0]) / sum(each) for each in fastest], agreed


def main() -> None:
    """Print a row for each vocabulary and width."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer", default=".peers/bin/python", help="the python of peers.sh")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sources", type=int, default=512)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--vocabularies", type=int, nargs="+", default=[60, 8000])
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(1)
    has_peer = Path(arguments.peer).exists()
    name = "JoeyNMT" if has_peer else "by hand"
    print(f"| vocabulary | beam | {name}, sentences/s | seqgen | ratio | same outputs |")
    print("|---|---|---|---|---|---|")
    for vocab in arguments.vocabularies:
        model = model_of(vocab)
        batches = batches_of(vocab, arguments.sources, arguments.batch)
        with tempfile.TemporaryDirectory() as folder:
            other: Callable[..., Found] = by_hand
            if has_peer:
                other = Peer(arguments.peer, model, batches, Path(folder))
            for beam in (5, 1):
                speeds, agreed = measure(
                    (other, by_seqgen), model, batches, beam=beam, rounds=arguments.rounds
                )
                ratio = speeds[1] / speeds[0]
                row = f"{speeds[0]:.0f} | {speeds[1]:.0f} | {ratio:.2f} x | {agreed:.1%}"
                print(f"| {vocab} | {beam} | {row} |", flush=True)


if __name__ == "__main__":
    main()
