"""The samples of a run: what it shows of itself while it learns and when it is done."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from seqgen.answers import spread
from seqgen.build import Built, Load, build_decoder
from seqgen.data.base import Split
from seqgen.decoders import Decoder, Multinomial
from seqgen.generate import Generated, Generator, SampleOptions
from seqgen.options import OptionError

Sample = dict[str, Any]

WATCHED = 3
"""How many sources each validation shows; a text takes more room, so of prompts it is one."""

SOURCES = 5
"""How many sources serve as prompts where a recipe has none."""


def sample_prompts(built: Built, valid: Split[Any] | None) -> tuple[str, ...]:
    """What the samples begin from: the recipe's prompts, else a few sources of `valid`."""
    if built.recipe.samples.prompts is not None:
        return built.recipe.samples.prompts
    some = spread(valid.examples, SOURCES) if valid is not None else ()
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
