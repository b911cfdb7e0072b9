"""The samples of a run: what it shows of itself while it learns and when it is done."""

from __future__ import annotations

from typing import Any

from seqgen.build import Built, Load, build_decoder
from seqgen.decoders import Decoder, Multinomial
from seqgen.generate import Generated, Generator, SampleOptions
from seqgen.options import OptionError

Sample = dict[str, Any]


def check_samples(built: Built, load: Load | None = None) -> None:
    """An OptionError unless the recipe's decoder and prompts suit the tokenizer.

    The runs that shall help the decoder are read with `load`. Errors: CheckpointError.
    """
    decoder = build_decoder(built.recipe, built.tokenizer, load=load)
    try:
        built.data.prompts(built.recipe.samples.prompts, built.tokenizers)
    except ValueError as error:
        raise OptionError(("samples", "prompts"), str(error)) from None
    if decoder.constraints:
        generator, options = built.generator(), built.recipe.samples
        limits = generator.limits(options.length)
        generator.start(options.prompts[:1], limits, decoder.constraints)


def sample_at_validation(
    generator: Generator, decoder: Decoder, options: SampleOptions
) -> dict[str, str]:
    """How the first prompt goes on now; by the same random numbers each time."""
    prompt = options.prompts[0]
    [[found, *_]] = generator.generate([prompt], decoder, options.length)
    return {"prompt": prompt, "text": found.text}


def final_samples(generator: Generator, options: SampleOptions, seed: int) -> list[Sample]:
    """Each prompt at each temperature, with the probabilities of its first token."""
    samples = []
    for temperature in options.temperatures:
        decoder = Multinomial(seed=seed, temperature=temperature)
        found = generator.generate(options.prompts, decoder, options.length)
        for prompt, [generated] in zip(options.prompts, found, strict=True):
            first = generator.first_tokens(prompt, temperature)
            samples.append(_as_data(generated, temperature, first))
    return samples


def samples_as_text(samples: list[Sample]) -> str:
    """The samples for reading, one under the other."""
    parts = []
    for sample in samples:
        temperature = sample["temperature"]
        name = f"temperature {temperature:g}" if temperature else "greedy"
        parts.append(f"=== {name} ===\n{sample['prompt']}{sample['text']}\n")
    return "\n".join(parts)


def _as_data(generated: Generated, temperature: float, first: list[dict[str, Any]]) -> Sample:
    return {
        "prompt": generated.prompt,
        "temperature": temperature,
        "text": generated.text,
        "pieces": list(generated.pieces),
        "log_probs": list(generated.hypothesis.log_probs),
        "finished": generated.hypothesis.finished,
        "first": first,
    }
