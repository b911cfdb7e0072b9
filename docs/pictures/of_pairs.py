"""The pictures of models with sources: how they are fed, and where they look."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import NamedTuple

import torch
from svg import Picture, readable

from seqgen.decoders import Greedy
from seqgen.tokenizers import BOS, EOS
from seqgen.trained import TrainedRun


def learning(at_once: Path, by_step: Path) -> Picture:
    """The validations of two runs whose cells are the same mathematics."""
    curves = [_validations(at_once), _validations(by_step)]
    apart = max(abs(one - other) for (_, one), (_, other) in zip(curves[0], curves[1], strict=True))
    picture = Picture(
        640,
        330,
        "The validation loss of an LSTM that is fed at once, and of one that is fed step by step: "
        "the points of the one lie on the line of the other.",
    )
    left, top, width, height = 70.0, 70.0, 540.0, 200.0
    steps, most = curves[0][-1][0], math.ceil(max(loss for _, loss in curves[0]))
    for loss in range(most + 1):
        y = top + height * (1 - loss / most)
        picture.line([(left, y), (left + width, y)], "grid-line")
        picture.text(left - 10, y + 5, str(loss), "muted small", "end")
    picture.text(left - 50, 28, "Validation loss, nats", "ink title")
    found = [
        [(left + width * step / steps, top + height * (1 - loss / most)) for step, loss in curve]
        for curve in curves
    ]
    picture.line(found[0], "blue-line")
    for x, y in found[1]:
        picture.dot(x, y, 5, "orange-line")
    for step, _ in curves[0][::2]:
        x = left + width * step / steps
        picture.text(x, top + height + 20, str(step), "muted small", "middle")
    picture.text(left + width / 2, top + height + 42, "steps", "muted small", "middle")
    picture.line([(250, 24), (276, 24)], "blue-line")
    picture.text(284, 28, "lstm, at once")
    picture.dot(402, 24, 5, "orange-line")
    picture.text(414, 28, "lstm_cell, step by step")
    picture.text(left + width, top + 20, f"largest difference {apart:.0e}", "muted small", "end")
    return picture


def attention(run: Path, source: str) -> Picture:
    """Where the model looks for each letter that it writes."""
    trained = TrainedRun.load(run, "cpu")
    generator = trained.built.generator()
    [[found]] = trained.continuations([source], Greedy())
    looked = generator.attention([source], [found.hypothesis.tokens])
    assert looked is not None, "the model does not look back"
    pieces = trained.built.data.source_pieces(source, trained.built.tokenizers)
    cell, left, top = 26.0, 90.0, 86.0
    picture = Picture(
        left + cell * len(pieces) + 24,
        top + cell * len(found.pieces) + 24,
        f"Attention while {source!r} becomes {found.text!r}: the letters of the year look at the "
        "year, those of the month at the month, those of the day at the day.",
    )
    picture.text(
        24, 32, "It reads the line at the top and writes the column, from above", "ink title"
    )
    for column, piece in enumerate(pieces):
        x = left + column * cell
        picture.text(x + cell / 2, top - 12, readable(piece), _style(piece), "middle")
        picture.line([(x, top), (x, top + cell * len(found.pieces))], "grid-line")
    for row, piece in enumerate(found.pieces):
        y = top + row * cell
        picture.text(left - 12, y + cell * 0.68, piece, _style(piece), "end")
        for column, weight in enumerate(looked[0, row, : len(pieces)].tolist()):
            if weight >= 0.01:
                picture.box(left + column * cell, y, cell, cell, "blue", opacity=weight)
    return picture


class Step(NamedTuple):
    """What a model reads at a step, what it predicts, and how sure it is."""

    reads: str
    says: str
    probability: float


def feeding(run: Path, source: str, target: str) -> Picture:
    """One source twice: the model reads the true target, then what it has said itself."""
    trained = TrainedRun.load(run, "cpu")
    rows = [
        ("teacher forcing: it reads the true letters", _moments(trained, source, target)),
        ("generation: it reads its own", _moments(trained, source, None)),
    ]
    picture = Picture(
        720,
        320,
        f"A half-trained model writes {source!r}: under teacher forcing an error is corrected in "
        "the next input; in generation it is read, and more follow.",
    )
    right_ones = [*target, "<eos>"]
    for place, (title, steps) in enumerate(rows):
        top = 34 + place * 136
        picture.text(24, top, title, "ink title")
        for name, below in (("reads", 94), ("says", 36)):
            picture.text(24, top + below, name, "muted small")
        for step, each in enumerate(steps):
            x = 96 + step * 54
            right = step < len(right_ones) and each.says == right_ones[step]
            style = "green" if right else "orange"
            if not right:
                picture.box(x - 14, top + 20, 28, 21, "panel", radius=5)
            picture.text(x, top + 36, each.says, f"{style} mono title", "middle")
            percent = f"{100 * each.probability:.0f} %"
            picture.text(x, top + 52, percent, "muted small", "middle")
            picture.arrow((x, top + 78), (x, top + 58))
            picture.text(x, top + 94, each.reads, "ink mono", "middle")
    picture.text(24, 306, f"source: {source}    in a box: wrong at its place", "muted small")
    return picture


def _validations(run: Path) -> list[tuple[int, float]]:
    lines = (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    events = [json.loads(each) for each in lines]
    return [(each["step"], each["nats_per_token"]) for each in events if each["event"] == "valid"]


def _moments(trained: TrainedRun, source: str, target: str | None) -> list[Step]:
    """Step by step until EOS; without a target each token said is the next one read."""
    generator = trained.built.generator()
    batch = generator.batch([source])
    tokenizer = generator.tokenizer
    true = [] if target is None else [*tokenizer.encode(target), EOS]
    steps: list[Step] = []
    with torch.inference_mode():
        stepper, start = generator.start(batch, generator.limits(batch))
        token, state = BOS, start.state
        for step in range(len(true) or 12):
            read = torch.tensor([token])
            log_probs, state = stepper.step(read, state, start.context)
            said = int(log_probs.argmax(1))
            odds = float(log_probs[0, said].exp())
            steps.append(Step(tokenizer.shown(token), tokenizer.shown(said), odds))
            if not true and said == EOS:
                break
            token = true[step] if true else said
    return steps


def _style(piece: str) -> str:
    """Of a letter, or of a special token."""
    return "muted small" if len(piece) > 1 else "ink mono"
