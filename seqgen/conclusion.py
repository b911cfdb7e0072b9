"""The conclusion of a run: held-out figures, answers and samples, and the files they go to."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any, cast

from seqgen.build import Built, Load, build_decoder
from seqgen.data import Dataset, Split
from seqgen.decoders import Decoder, Multinomial
from seqgen.errors import CheckpointError
from seqgen.evaluate import evenly_spaced
from seqgen.explain import alignments
from seqgen.files import write_file
from seqgen.generate import Generator, SampleOptions
from seqgen.machine import computing
from seqgen.metrics import Answer
from seqgen.models import Generative
from seqgen.options import OptionError
from seqgen.run_directory import RunDirectory
from seqgen.trackers import Tracking
from seqgen.training import Outcome

Sample = dict[str, Any]

SOURCES = 5
"""The number of sources that serve as prompts if a recipe has none."""

WATCHED = 3
"""The number of sources that each validation shows; of prompts, whose texts are longer, it is 1."""

ALIGNED = 8
"""The number of outputs whose attention the report shows."""


def sample_prompts(built: Built, valid: Split[Any] | None) -> tuple[str, ...]:
    """The prompts of the samples: the recipe's, else a few sources of `valid`."""
    if built.recipe.samples.prompts is not None:
        return built.recipe.samples.prompts
    some = evenly_spaced(valid.examples, SOURCES) if valid is not None else ()
    return tuple(example.source for example in some) or ("",)


def check_samples(built: Built, prompts: Sequence[str], load: Load | None = None) -> None:
    """Raises OptionError unless the recipe's decoder and prompts suit the tokenizer.

    The runs that the decoder uses are read with `load`, which may raise CheckpointError.
    """
    recipe = built.recipe
    decoder = build_decoder(recipe.decoder, built, recipe.seed, load)
    try:
        built.data.prompts(prompts, built.tokenizers)
    except ValueError as error:
        raise OptionError(("samples", "prompts"), str(error)) from None
    if decoder.constraints:
        generator = built.generator()
        batch = generator.batch(prompts[:1])
        limits = generator.limits(batch, recipe.samples.length)
        with computing():
            generator.start(batch, limits, decoder.constraints)


def samples_at_validation(
    generator: Generator, decoder: Decoder, prompts: Sequence[str], length: int
) -> list[Sample]:
    """The current output for the first prompt, or for the first few sources, always with the same
    random numbers."""
    continues = generator.data.continues
    watched = prompts[:1] if continues else prompts[:WATCHED]
    found = generator.generate(watched, decoder, length)
    return [
        {"prompt": prompt, "text": best.text, "continues": continues}
        for prompt, [best, *_] in zip(watched, found, strict=True)
    ]


def final_samples(
    generator: Generator, options: SampleOptions, prompts: Sequence[str], seed: int
) -> list[Sample]:
    """Each prompt at each temperature, with the probabilities of its first token."""
    samples: list[Sample] = []
    for temperature in options.temperatures:
        decoder = Multinomial(seed=seed, temperature=temperature)
        found = generator.generate(prompts, decoder, options.length)
        samples += [
            {
                "prompt": generated.prompt,
                "text": generated.text,
                "pieces": list(generated.pieces),
                "log_probs": list(generated.hypothesis.log_probs),
                "finished": generated.hypothesis.finished,
                **generated.early_end,
                "first": generator.first_tokens(prompt, temperature),
                "continues": generator.data.continues,
                # In words where it is infinite, which JSON has no number for.
                "temperature": temperature if math.isfinite(temperature) else str(temperature),
            }
            for prompt, [generated] in zip(prompts, found, strict=True)
        ]
    return samples


def samples_as_text(samples: list[Sample]) -> str:
    """The samples for reading, one under the other; a source stands on a line of its own."""
    parts = []
    for sample in samples:
        temperature = sample["temperature"]
        name = f"temperature {float(temperature):g}" if temperature else "greedy"
        between = "" if sample["continues"] else "\n"
        parts.append(f"=== {name} ===\n{sample['prompt']}{between}{sample['text']}\n")
    return "\n".join(parts)


def conclude(
    built: Built,
    dataset: Dataset[Any],
    decoder: Decoder,
    directory: RunDirectory,
    outcome: Outcome,
) -> None:
    """Evaluate and sample with the model's current weights, and write the results.

    That is `samples.json`, `samples.txt`, and `result.json` last; before them `answers.json` if
    there are metrics (the outputs for the last of the held-out parts), and `attention.json` if the
    model has attention.
    """
    judge, folder = built.judge(), directory.folder
    figures: dict[str, Any] = {}
    answers: list[Answer] = []
    for name, split in (("valid", dataset.valid), ("test", dataset.test)):
        if split is not None:
            figures[name], answers = judge.figures(split, decoder)
    if answers:
        directory.write_json(folder / "answers.json", [asdict(each) for each in answers])
        figures["better"] = {name: each.better for name, each in judge.metrics.items()}
    split = dataset.test or dataset.valid
    sources = [each.source for each in evenly_spaced(split.examples, ALIGNED)] if split else []
    found = [best for best, *_ in judge.generator.generate(sources, decoder)]
    aligned = alignments(judge.generator, found)
    if aligned:
        directory.write_json(folder / "attention.json", [each._asdict() for each in aligned])
    recipe, prompts = built.recipe, sample_prompts(built, dataset.valid)
    samples = final_samples(judge.generator, recipe.samples, prompts, recipe.seed)
    directory.write_json(folder / "samples.json", samples)
    write_file(folder / "samples.txt", samples_as_text(samples))
    train = {
        "steps": outcome.steps,
        "tokens": outcome.tokens,
        "seconds": outcome.seconds,
        "tokens_per_second": outcome.tokens / outcome.seconds if outcome.seconds else 0.0,
    }
    result = {"recipe": folder.name, "parameters": built.parameters}
    result |= {"best_step": outcome.best_step, "stopped": outcome.stopped, "train": train}
    directory.write_json(directory.result, {**result, **figures})


def track(tracking: Tracking, directory: RunDirectory, step: int) -> None:
    """Hand the files of a run that has concluded to its trackers."""
    texts = [(directory.folder / "samples.txt").read_text(encoding="utf-8")]
    result = directory.read_json(directory.result)
    tracking.conclude(step, result, texts, directory.folder / "loss.png")


def has_concluded(built: Built, dataset: Dataset[Any], directory: RunDirectory) -> bool:
    """Whether all files that `conclude` writes exist."""
    names = ["samples.json", "samples.txt", directory.result.name]
    split = dataset.test or dataset.valid
    if split is not None and split.examples:
        names += ["answers.json"] if built.recipe.metrics else []
        names += ["attention.json"] if cast(Generative, built.model).looks_back else []
    return all((directory.folder / name).exists() for name in names)


def read_result(directory: RunDirectory) -> dict[str, Any]:
    """The content of `result.json`. Raises CheckpointError unless `conclude` wrote it."""
    result = directory.read_json(directory.result)

    def damaged(what: str) -> CheckpointError:
        mend = "without the file, --resume makes it again"
        return CheckpointError(f"{directory.result}: damaged, {what} ({mend})")

    def check(part: str, found: object, keys: Iterable[str]) -> None:
        """Of `keys`, all are finite numbers, or null for what JSON cannot hold (which an accuracy
        never is)."""
        if not isinstance(found, dict):
            raise damaged(f"`{part}` must be a mapping")
        for key in keys:
            value: Any = found.get(key)
            lost = key in found and value is None and key != "accuracy"
            finite = type(value) in {int, float} and abs(value) <= sys.float_info.max
            if not lost and not finite:
                raise damaged(f"`{part}.{key}` must be a number")

    check("train", result.get("train"), ("steps", "seconds", "tokens_per_second"))
    for name in [each for each in ("valid", "test") if each in result]:
        found = result[name]
        check(name, found, ("bits_per_char", "nats_per_token", "perplexity", "accuracy"))
        if "metrics" in found:
            check(name, found, ("examples",))
            check(f"{name}.metrics", found["metrics"], found["metrics"])
    if not isinstance(result.get("stopped"), str):
        raise damaged("`stopped` must be a string")
    return result
