"""The conclusion of a run: figures of the held-out parts, answers and samples, as files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from seqgen.alignments import alignments
from seqgen.answers import Judge, spread
from seqgen.build import Built
from seqgen.data.base import Dataset, Split
from seqgen.decoders import Decoder
from seqgen.metrics import Answer
from seqgen.run_directory import RunDirectory
from seqgen.samples import final_samples, sample_prompts, samples_as_text
from seqgen.training import Outcome

ALIGNED = 8
"""Of how many answers the report shows where the model looked."""


def conclude(
    built: Built,
    dataset: Dataset[Any],
    decoder: Decoder,
    directory: RunDirectory,
    outcome: Outcome,
) -> None:
    """Evaluate and sample with the weights that the model has, and write what a person looks at:
    `samples.json`, `samples.txt`, and `result.json` last; `answers.json` where there are metrics
    (the outputs for the last of the held-out parts) and `attention.json` where the model looks
    back at sources."""
    judge = built.judge()
    held_out = {"valid": dataset.valid, "test": dataset.test}
    figures: dict[str, Any] = {}
    answers: list[Answer] = []
    for name, split in held_out.items():
        if split is not None:
            figures[name], answers = judge.figures(split, decoder)
    if answers:
        directory.write_json(directory.folder / "answers.json", [asdict(each) for each in answers])
        figures["better"] = {name: each.better for name, each in judge.metrics.items()}
    aligned = _aligned(judge, decoder, dataset.test or dataset.valid)
    if aligned:
        directory.write_json(directory.folder / "attention.json", aligned)
    _write_samples(built, dataset, directory)
    directory.write_json(directory.result, _result(built, directory, outcome, figures))


def _aligned(judge: Judge, decoder: Decoder, split: Split[Any] | None) -> list[dict[str, Any]]:
    """The alignments of the outputs for a few sources of `split`, as plain data."""
    texts = [each.source for each in spread(split.examples, ALIGNED)] if split else []
    found = [best for best, *_ in judge.generator.generate(texts, decoder)]
    return [each._asdict() for each in alignments(judge.generator, found)]


def _write_samples(built: Built, dataset: Dataset[Any], directory: RunDirectory) -> None:
    recipe = built.recipe
    prompts: Sequence[str] = sample_prompts(built, dataset.valid)
    samples = final_samples(built.generator(), recipe.samples, prompts, recipe.seed)
    directory.write_json(directory.folder / "samples.json", samples)
    directory.write(directory.folder / "samples.txt", samples_as_text(samples))


def _result(
    built: Built, directory: RunDirectory, outcome: Outcome, figures: Mapping[str, Any]
) -> dict[str, Any]:
    speed = outcome.tokens / outcome.seconds if outcome.seconds else 0.0
    return {
        "recipe": directory.folder.name,
        "parameters": built.parameters,
        "best_step": outcome.best_step,
        "stopped": outcome.stopped,
        "train": {
            "steps": outcome.steps,
            "tokens": outcome.tokens,
            "seconds": outcome.seconds,
            "tokens_per_second": speed,
        },
        **figures,
    }
