"""Whether an exported run does what the run does, and how fast; or which parts can be exported.

    python benchmarks/export.py RUN [--inputs 1000] [--tokens 100]
    python benchmarks/export.py --parts

For a run: the largest difference of a teacher-forced log-probability over the test part; of that
many inputs (sources of the test part, or four tokens of it), how many outputs differ from those of
`seqgen generate`, for greedy search, a beam of 5, and samples; and the time of the processor for a
token, one input at a time. With `--parts`: each built-in cell, head, embedding, encoder, bridge,
attention and model in tiny models with random weights, for both targets, or why not.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from seqgen.attentions import attentions
from seqgen.build import build, build_data, fit_tokenizers
from seqgen.cells import cells
from seqgen.encoders import bridges
from seqgen.export import contents, export
from seqgen.export.runner import Runner
from seqgen.heads import heads
from seqgen.models import models
from seqgen.plugins import load_installed
from seqgen.recipe import read_recipe
from seqgen.run_directory import RunDirectory
from seqgen.state import leaves
from seqgen.trained import TrainedRun

SEARCHES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "greedy": ({"name": "greedy"}, {"name": "greedy"}),
    "beam of 5": ({"name": "beam", "beam_size": 5}, {"name": "beam", "beam_size": 5}),
    "beam of 5, by length": (
        {"name": "beam", "beam_size": 5, "length_normalisation": "power"},
        {"name": "beam", "beam_size": 5, "length_normalisation": "power"},
    ),
    "temperature 0.8": (
        {"name": "multinomial", "temperature": 0.8},
        {"name": "sample", "temperature": 0.8},
    ),
    "top-k 20, top-p 0.9": (
        {
            "name": "multinomial",
            "truncations": [{"name": "top_k", "k": 20}, {"name": "top_p", "p": 0.9}],
        },
        {"name": "sample", "truncations": [("top_k", 20), ("top_p", 0.9)]},
    ),
}
"""Each search in a recipe, and for the runner."""


def forced(run: TrainedRun, runner: Runner) -> tuple[float, int]:
    """The largest difference of a target's log-probability over the test part, and of how many."""
    model, largest, count = run.built.model.eval(), 0.0, 0

    def visit(batch: Any, state: Any) -> tuple[None, Any]:
        nonlocal largest, count
        sources = getattr(batch, "sources", None)
        score = model.score(batch, state)
        if sources is None:
            first = model.initial_state(len(batch.inputs)) if state is None else state
            own, context = [each.unsqueeze(1).numpy() for each in leaves(first)], []
        else:
            feed = {"source": sources.values.numpy(), "lengths": sources.lengths.numpy()}
            made = runner.encoder.run(None, feed)
            own, context = made[: len(runner.states)], made[len(runner.states) :]
        names = [each["name"] for each in (*runner.states, *runner.contexts)]
        real = torch.ones_like(batch.targets, dtype=torch.bool)
        if batch.lengths is not None:
            real = torch.arange(real.shape[1]) < batch.lengths.unsqueeze(1)
        for step in range(batch.targets.shape[1]):
            feed = dict(zip(names, [*own, *context], strict=True))
            read = batch.inputs[:, step : step + 1].numpy()
            known = {each.name for each in runner.stepper.get_inputs()}
            feed = {key: each for key, each in {"tokens": read, **feed}.items() if key in known}
            found, *own = runner.stepper.run(None, feed)
            log_probs = torch.from_numpy(found[:, 0])
            nats = -log_probs.gather(1, batch.targets[:, step : step + 1]).squeeze(1)
            differences = (nats - score.nats[:, step])[real[:, step]].abs()
            largest = max([largest, *differences.tolist()])
            count += len(differences)
        return None, score.state

    split = run.built.data.held_out("test", run.built.tokenizers)
    with torch.inference_mode():
        split.walk(visit, model.initial_state, 64)
    return largest, count


def outputs(run: TrainedRun, runner: Runner, inputs: list[str], most: int | None) -> None:
    """A row for each search: what differs, and the time for a token, ours and the runner's."""
    single = replace(run.built.recipe.evaluation, batch_size=1)
    alone = replace(
        run, built=replace(run.built, recipe=replace(run.built.recipe, evaluation=single))
    )
    print("| search | outputs that differ | scores differ by | ms a token, run / exported |")
    print("|---|---|---|---|")
    for name, (ours, theirs) in SEARCHES.items():
        decoder = alone.decoder(ours, seed=1)
        began = time.process_time()
        expected = [each for [each] in alone.continuations(inputs, decoder, most)]
        between = time.process_time()
        seed = {"seed": 1} if theirs["name"] == "sample" else {}
        found = [
            runner.generate(text, place, most, **theirs, **seed)
            for place, text in enumerate(inputs)
        ]
        ended = time.process_time()
        tokens = sum(len(each.hypothesis.tokens) for each in expected)
        pairs = [(one.hypothesis, two) for one, two in zip(expected, found, strict=True)]
        differing = [pair for pair in pairs if pair[0].tokens != pair[1].tokens]
        gaps = [abs(one.score - two.score) for one, two in pairs if one.tokens == two.tokens]
        times = 1e3 * (between - began) / tokens, 1e3 * (ended - between) / tokens
        print(
            f"| {name} | {len(differing)} of {len(inputs)} | {max(gaps, default=0):.1e} "
            f"| {times[0]:.3f} / {times[1]:.3f} |"
        )
        for one, two in differing[:5]:
            print(f"  {one.tokens} {one.score:.6f}\n  {two.tokens} {two.score:.6f}")


def of_run(folder: str, count: int, most: int) -> None:
    """What the export of a run in `folder` does."""
    run = TrainedRun.load(folder, "cpu")
    with tempfile.TemporaryDirectory() as temporary:
        out = Path(temporary, "exported")
        export(run, "onnx", out)
        runner = Runner(out)
        split, tokenizers = (
            run.built.data.held_out("test", run.built.tokenizers),
            run.built.tokenizers,
        )
        difference, targets = forced(run, runner)
        print(f"{targets:,} targets of the test part: largest difference {difference:.1e}\n")
        if split.examples:
            outputs(run, runner, [each.source for each in split.examples][:count], None)
            return
        passages = run.built.data.passages("test", tokenizers, 4, 0)
        outputs(run, runner, [each.source for each in passages][:count], most)


LSTM = {"name": "lstm", "hidden_size": 6}
READER = {"name": "recurrent", "cell": LSTM, "embedding": {"size": 4}}
KINDS = {
    "text": {"name": "text", "corpus": "unicode_names"},
    "pairs": {"name": "pairs", "corpus": "hangul"},
    "tagged": {"name": "tagged", "corpus": "punctuation", "letters": True},
}


def small(name: str) -> dict[str, Any]:
    """A tiny cell of a kind."""
    if name == "stack":
        return {"name": name, "cells": [LSTM, {**LSTM, "name": "gru"}], "residual": True}
    wraps = "cell" in cells.entry(name).options
    return {"name": name, "cell": LSTM} if wraps else {"name": name, "hidden_size": 6}


def every_part(vectors: Path) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """A name, the kind of data, and the model, for each part that is to be exported."""
    lm = {"name": "language_model", "cell": LSTM}
    pairs = {"name": "seq2seq", "encoder": READER, "cell": LSTM, "attention": "general"}
    for name in cells.names():
        encoder = {"name": "bidirectional", "cell": small(name), "embedding": {"size": 6}}
        yield f"cell `{name}`", "pairs", {**pairs, "encoder": encoder, "cell": small(name)}
    for name in heads.names():
        options = {"cutoffs": [10, 20]} if name == "adaptive_softmax" else {}
        yield f"head `{name}`", "text", {**lm, "head": {"name": name, **options}}
    embedded = {"learned": {}, "one_hot": {}, "pretrained": {"path": str(vectors), "size": 3}}
    for name, options in embedded.items():
        yield f"embedding `{name}`", "text", {**lm, "embedding": {"name": name, **options}}
    for name in attentions.names():
        feeding = {"attention": name, "input_feeding": True}
        yield f"attention `{name}`, fed", "pairs", {**pairs, **feeding}
    for name in bridges.names():
        yield f"bridge `{name}`", "pairs", {**pairs, "bridge": name}
    plain = {**pairs, "encoder": "label", "attention": "none"}
    yield "encoder `label`", "pairs", plain
    yield (
        "encoder `recurrent` with letters",
        "tagged",
        {
            "name": "tagger",
            "encoder": {**READER, "letters": READER},
        },
    )
    yield "model `tagger`", "tagged", {"name": "tagger", "encoder": READER}
    for pooling in ("last", "mean", "max"):
        model = {"name": "classifier", "encoder": READER, "pooling": pooling}
        yield f"model `classifier`, {pooling}", "pairs", model


def of_parts() -> None:
    """A row for each part."""
    load_installed()
    with tempfile.TemporaryDirectory() as temporary:
        vectors, folder = Path(temporary, "vectors.txt"), Path(temporary)
        vectors.write_text("A 1 2 3\nB 4 5 6\n")
        runs: dict[str, TrainedRun] = {}
        print("| part | onnx | torch |\n|---|---|---|")
        for name, kind, model in every_part(vectors):
            if kind not in runs:
                recipe_file = folder / "recipe.yaml"
                recipe_file.write_text(
                    f"data: {KINDS[kind]}\nmodel: {model}\ndevice: cpu\ntrain: {{max_steps: 1}}\n"
                )
                recipe = read_recipe(recipe_file, [])
                data = build_data(recipe)
                built = build(recipe, data, fit_tokenizers(recipe, data))
                runs[kind] = TrainedRun(RunDirectory(folder), built)
            said = []
            for target in ("onnx", "torch"):
                run = runs[kind]
                sizes = run.built.data.sizes(run.built.tokenizers)
                said.append(tried(run, model, sizes, target))
            print(f"| {name} | {' | '.join(said)} |", flush=True)


def tried(run: TrainedRun, model: dict[str, Any], sizes: dict[str, Any], target: Any) -> str:
    """yes, or why not."""
    known = models.entry(model["name"]).supplied
    made = models.build(model, **{key: each for key, each in sizes.items() if key in known})
    try:
        contents(replace(run, built=replace(run.built, model=made.eval())), target)
    except ValueError as error:
        return str(error)
    return "yes"


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("run", nargs="?")
    parser.add_argument("--inputs", type=int, default=1000)
    parser.add_argument("--tokens", type=int, default=100, help="of outputs that go on with a text")
    parser.add_argument("--parts", action="store_true")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    if asked.parts:
        of_parts()
    elif asked.run:
        of_run(asked.run, asked.inputs, asked.tokens)
    else:
        sys.exit("export: a run, or --parts")


if __name__ == "__main__":
    main()
