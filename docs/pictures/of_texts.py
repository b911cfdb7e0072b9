"""The pictures of language models: what comes next, and what a text is made of."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path

import numpy as np
from svg import LETTER, Picture, readable

from seqgen.decoders import Beam, Greedy, Multinomial
from seqgen.reports.analyses import find_cycle
from seqgen.trained import TrainedRun


def circle(run: Path, prompt: str = "The ", length: int = 236) -> Picture:
    """The most probable text, whose circle is marked, above one that was drawn."""
    trained = TrainedRun.load(run, "cpu")
    lines: list[tuple[str, list[tuple[str, str]]]] = []
    for title, decoder in [
        ("greedy: the most probable character each time", Greedy()),
        ("multinomial, temperature 0.5", Multinomial(seed=1, temperature=0.5)),
        ("multinomial, temperature 1", Multinomial(seed=1, temperature=1.0)),
    ]:
        [[found]] = trained.continuations([prompt], decoder, length)
        lines.append((title, _marked(prompt, found.text)))
    columns, rows = 80, 3
    picture = Picture(
        80 * LETTER + 48,
        len(lines) * (rows * 20 + 46) + 16,
        "The most probable text runs in a circle, texts that are drawn do not.",
    )
    for place, (title, parts) in enumerate(lines):
        top = 30 + place * (rows * 20 + 46)
        picture.text(24, top, title, "ink title")
        for row in range(rows):
            cut = _cut(parts, row * columns, columns)
            width = sum(len(text) for text, _ in cut) * LETTER
            if width:
                picture.runs(24, top + 22 + row * 20, width, cut)
    return picture


TEMPERATURES = (0.5, 1.0, 1.5)


def temperature(run: Path, prompt: str = "The s", shown: int = 10, k: int = 3) -> Picture:
    """The most probable next characters at three temperatures, and what top-k would leave."""
    generator = TrainedRun.load(run, "cpu").built.generator()
    odds = [generator.first_tokens(prompt, each, len(generator.tokenizer)) for each in TEMPERATURES]
    scale = 150 / max(first["probability"] for first, *_ in odds)
    picture = Picture(
        900,
        300,
        f"The probabilities of the characters after {prompt!r}: the lower the temperature, the "
        "more falls to the first ones.",
    )
    for place, (value, every) in enumerate(zip(TEMPERATURES, odds, strict=True)):
        bits = -sum(p * math.log2(p) for p in (each["probability"] for each in every) if p)
        left, bottom, bar = 40 + place * 290, 246.0, 24.0
        picture.text(left, 32, f"temperature {value:g}", "ink title")
        picture.text(left, 52, f"entropy {bits:.2f} bits", "muted small")
        for rank, each in enumerate(every[:shown]):
            x, tall = left + rank * bar, scale * each["probability"]
            picture.box(x + 3, bottom - tall, bar - 6, tall, "blue" if rank < k else "muted")
            if each["probability"] >= 0.02:
                percent = f"{100 * each['probability']:.0f}"
                picture.text(x + bar / 2, bottom - tall - 5, percent, "muted small", "middle")
            picture.text(x + bar / 2, bottom + 18, readable(each["token"]), "ink mono", "middle")
        picture.line([(left, bottom), (left + shown * bar, bottom)], "muted-line")
    picture.text(
        40, 288, f"after {prompt!r}, in percent; blue: the {k} that top_k leaves", "muted small"
    )
    return picture


def beam(run: Path, prompt: str = "to be ", size: int = 3, steps: int = 8) -> Picture:
    """The paths that a beam keeps at each step, and where the greedy one went."""
    trained = TrainedRun.load(run, "cpu")
    layers: list[dict[str, float]] = [{"": 0.0}]
    for length in range(1, steps + 1):
        decoder = Beam(beam_size=size, n_best=size)
        [found] = trained.continuations([prompt], decoder, length)
        layers.append({each.text: each.hypothesis.score for each in found})
    [[most]] = trained.continuations([prompt], Greedy(), steps)
    picture = Picture(
        100 + steps * 82 + 60,
        90 + size * 70,
        f"A beam of {size} after {prompt!r}: the paths that are kept at each step, with their "
        "log-probabilities. The best one at the end was not the best at first.",
    )
    places = [
        {text: (60 + step * 82, 80 + rank * 70) for rank, text in enumerate(layer)}
        for step, layer in enumerate(layers)
    ]
    best = next(iter(layers[-1]))
    for before, here in pairwise(places):
        for text, (x, y) in here.items():
            if text[:-1] in before:
                x0, y0 = before[text[:-1]]
                style = "blue-line" if best.startswith(text) else "muted-line"
                picture.arrow((x0 + 15, y0), (x - 16, y), style)
    for layer, here in zip(layers, places, strict=True):
        for text, (x, y) in here.items():
            style = "blue" if best.startswith(text) else "ink"
            style = "orange" if most.text.startswith(text) and style == "ink" else style
            picture.box(x - 14, y - 15, 28, 28, "panel", radius=6)
            picture.text(
                x, y + 5, readable(text[-1:] or prompt[-1]), f"{style} mono title", "middle"
            )
            if text:
                picture.text(x, y + 28, f"{layer[text]:.2f}", "muted small", "middle")
    legend = f"after {prompt!r}, log-probability below; blue: the best at the end, {best!r}"
    picture.text(24, 34, legend, "ink small")
    picture.text(24, 54, f"orange: greedy alone, {most.text!r}", "ink small")
    return picture


def letters(run: Path) -> Picture:
    """The learned vectors of letters and digits, in their two directions of most variance."""
    built = TrainedRun.load(run, "cpu").built
    table = built.model.embedding.table().detach().numpy()
    shown = [
        (built.tokenizer.shown(token), vector)
        for token, vector in enumerate(table)
        if built.tokenizer.shown(token).isalnum() and built.tokenizer.shown(token).isascii()
    ]
    centred = np.stack([vector for _, vector in shown])
    centred = centred - centred.mean(0)
    _, sizes, directions = np.linalg.svd(centred, full_matrices=False)
    flat = centred @ directions[:2].T
    flat *= np.sign(flat[np.abs(flat).argmax(0), [0, 1]])  # a direction has no sign of its own
    share = (sizes[:2] ** 2).sum() / (sizes**2).sum()
    picture = Picture(
        640,
        460,
        "The learned vectors of letters and digits in a plane: digits, capital and small letters "
        "lie apart.",
    )
    low, high = flat.min(0), flat.max(0)
    for (letter, _), point in zip(shown, flat, strict=True):
        x, y = (point - low) / (high - low)
        style = "orange" if letter.isdigit() else "green" if letter.isupper() else "blue"
        picture.text(36 + 568 * x, 410 - 350 * y, letter, f"{style} mono title", "middle")
    legend = f"the two directions of most variance, {100 * share:.0f} % of it"
    picture.text(24, 30, legend, "muted small")
    picture.text(24, 444, "blue: small letters, green: capitals, orange: digits", "muted small")
    return picture


def tokens(runs: dict[str, Path], sentence: str) -> Picture:
    """One sentence in the tokens of each run, and how well the run foretells held-out text."""
    picture = Picture(
        760,
        8 + len(runs) * 104,
        "One sentence in characters, pieces of words and words, with the vocabulary and the bits "
        "per byte of a short run on each.",
    )
    for place, (name, folder) in enumerate(runs.items()):
        trained = TrainedRun.load(folder, "cpu")
        tokenizer, figures = trained.built.tokenizer, trained.result["test"]
        pieces = [tokenizer.shown(int(token)) for token in tokenizer.encode(sentence)]
        top = 34 + place * 104
        picture.text(24, top, name, "ink title")
        x = 24.0
        letter = 660 / (sum(len(each) for each in pieces) + len(pieces))
        for piece in pieces:
            width = (len(piece) + 1) * letter
            picture.box(x + 1, top + 12, width - 2, 26, "panel", radius=4)
            picture.text(x + width / 2, top + 30, readable(piece), "ink mono small", "middle")
            x += width
        said = (
            f"{len(pieces)} tokens here, a vocabulary of {len(tokenizer):,}: "
            f"{figures['bits_per_byte']:.2f} bits per byte, "
            f"{100 * figures['unknown_share']:.1f} % of the tokens unknown"
        )
        picture.text(24, top + 58, said, "muted small")
    return picture


def _marked(prompt: str, text: str) -> list[tuple[str, str]]:
    """The text in parts with a style each: the prompt, and every second round of a circle."""
    found = find_cycle(text)
    start = len(text) if found is None else found.start
    parts = [(prompt, "muted"), (text[:start], "ink")]
    if found is not None:
        size = len(found.unit)
        rounds = range(start, len(text), size)
        parts += [
            (text[at : at + size], "orange" if number % 2 else "blue")
            for number, at in enumerate(rounds)
        ]
    return [(readable(each), style) for each, style in parts]


def _cut(parts: list[tuple[str, str]], start: int, length: int) -> list[tuple[str, str]]:
    """Some letters of a text in parts."""
    styles = [(letter, style) for text, style in parts for letter in text]
    return styles[start : start + length]
