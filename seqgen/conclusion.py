"""The conclusion of a run: figures of the held-out parts, answers and samples, as files."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, cast

from seqgen.answers import Judge, evenly_spaced
from seqgen.build import Built, Load, build_decoder
from seqgen.data import Dataset, Split
from seqgen.decoders import Decoder, Multinomial
from seqgen.errors import CheckpointError
from seqgen.explain import alignments
from seqgen.generate import Generated, Generator, SampleOptions
from seqgen.metrics import Answer
from seqgen.models import Generative
from seqgen.options import OptionError
from seqgen.run_directory import RunDirectory
from seqgen.training import Outcome

# The samples of a run: what it shows of itself while it learns and when it is done.


Sample = dict[str, Any]

WATCHED = 3
"""How many sources each validation shows; a text takes more room, so of prompts it is one."""

SOURCES = 5
"""How many sources serve as prompts where a recipe has none."""


def sample_prompts(built: Built, valid: Split[Any] | None) -> tuple[str, ...]:
    """What the samples begin from: the recipe's prompts, else a few sources of `valid`."""
    if built.recipe.samples.prompts is not None:
        return built.recipe.samples.prompts
    some = evenly_spaced(valid.examples, SOURCES) if valid is not None else ()
    return tuple(example.source for example in some) or ("",)


def check_samples(built: Built, prompts: Sequence[str], load: Load | None = None) -> None:
    """An OptionError unless the recipe's decoder and prompts suit the tokenizer.

    The runs that shall help the decoder are read with `load`. Errors: CheckpointError.
    """
    decoder = build_decoder(built.recipe, built.tokenizer, load=load)
    try:
        built.data.prompts(prompts, built.tokenizers)
    except ValueError as error:
        raise OptionError(("samples", "prompts"), str(error)) from None
    if decoder.constraints:
        generator = built.generator()
        batch = generator.batch(prompts[:1])
        limits = generator.limits(batch, built.recipe.samples.length)
        generator.start(batch, limits, decoder.constraints)


def samples_at_validation(
    generator: Generator, decoder: Decoder, prompts: Sequence[str], length: int
) -> list[Sample]:
    """What comes now of the first prompt, or of the first few sources; by the same random numbers
    each time."""
    continues = generator.data.continues
    watched = prompts[:1] if continues else prompts[:WATCHED]
    return [
        {"prompt": prompt, "text": found.text, "continues": continues}
        for prompt, [found, *_] in zip(
            watched, generator.generate(watched, decoder, length), strict=True
        )
    ]


def final_samples(
    generator: Generator, options: SampleOptions, prompts: Sequence[str], seed: int
) -> list[Sample]:
    """Each prompt at each temperature, with the probabilities of its first token."""
    samples = []
    for temperature in options.temperatures:
        decoder = Multinomial(seed=seed, temperature=temperature)
        found = generator.generate(prompts, decoder, options.length)
        for prompt, [generated] in zip(prompts, found, strict=True):
            first = generator.first_tokens(prompt, temperature)
            about = {"continues": generator.data.continues, "temperature": temperature}
            samples.append({**_as_data(generated, first), **about})
    return samples


def samples_as_text(samples: list[Sample]) -> str:
    """The samples for reading, one under the other; a source stands on a line of its own."""
    parts = []
    for sample in samples:
        temperature = sample["temperature"]
        name = f"temperature {temperature:g}" if temperature else "greedy"
        between = "" if sample["continues"] else "\n"
        parts.append(f"=== {name} ===\n{sample['prompt']}{between}{sample['text']}\n")
    return "\n".join(parts)


def _as_data(generated: Generated, first: list[dict[str, Any]]) -> Sample:
    return {
        "prompt": generated.prompt,
        "text": generated.text,
        "pieces": list(generated.pieces),
        "log_probs": list(generated.hypothesis.log_probs),
        "finished": generated.hypothesis.finished,
        "first": first,
    }


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


def concluded(built: Built, dataset: Dataset[Any], directory: RunDirectory) -> bool:
    """Whether all is there that `conclude` writes."""
    names = ["samples.json", "samples.txt", directory.result.name]
    split = dataset.test or dataset.valid
    if split is not None and split.examples:
        names += ["answers.json"] if built.recipe.metrics else []
        names += ["attention.json"] if cast(Generative, built.model).looks_back else []
    return all((directory.folder / name).exists() for name in names)


def read_result(directory: RunDirectory) -> dict[str, Any]:
    """What `result.json` says. Raises CheckpointError if it is missing, or not what `conclude`
    wrote."""
    result = directory.read_json(directory.result)
    numbers: dict[str, tuple[str, ...]] = {"train": ("steps", "seconds", "tokens_per_second")}
    splits = [name for name in ("valid", "test") if name in result]
    numbers |= dict.fromkeys(splits, ("bits_per_char", "nats_per_token", "perplexity", "accuracy"))
    for part, keys in numbers.items():
        _check_figures(directory, result.get(part), part, keys)
    for part in splits:
        if "metrics" in result[part]:
            _check_figures(directory, result[part], part, ("examples",))
            metrics = result[part]["metrics"]
            names = metrics if isinstance(metrics, dict) else ()
            _check_figures(directory, metrics, f"{part}.metrics", names)
    if not isinstance(result.get("stopped"), str):
        raise _damaged(directory, "`stopped` must be a string")
    return result


def _check_figures(directory: RunDirectory, found: object, part: str, keys: Iterable[str]) -> None:
    """A CheckpointError unless `found` is a mapping with finite numbers under `keys`, or null where
    there was one that JSON cannot hold (which an accuracy never is)."""
    if not isinstance(found, dict):
        raise _damaged(directory, f"`{part}` must be a mapping")
    for key in keys:
        value: Any = found.get(key)
        lost = key in found and value is None and key != "accuracy"
        finite = type(value) in {int, float} and abs(value) <= sys.float_info.max
        if not lost and not finite:
            raise _damaged(directory, f"`{part}.{key}` must be a number")


def _damaged(directory: RunDirectory, what: str) -> CheckpointError:
    mend = "without the file, --resume makes it again"
    return CheckpointError(f"{directory.result}: damaged, {what} ({mend})")


def _aligned(judge: Judge, decoder: Decoder, split: Split[Any] | None) -> list[dict[str, Any]]:
    """The alignments of the outputs for a few sources of `split`, as plain data."""
    texts = [each.source for each in evenly_spaced(split.examples, ALIGNED)] if split else []
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
