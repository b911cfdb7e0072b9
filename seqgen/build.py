"""Building: from a Recipe to data, tokenizers and model. Sizes pass between rooms only here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, cast

import torch

from seqgen.answers import Judge
from seqgen.data import Data
from seqgen.decoders import Decoder, SecondaryModel
from seqgen.errors import CheckpointError
from seqgen.generate import Generator
from seqgen.machine import available_cores, choose_device, choose_threads, memory_for
from seqgen.metrics import Metric, by_name
from seqgen.models import Generative, Model
from seqgen.options import OptionError
from seqgen.recipe import Recipe
from seqgen.registry import Part, is_ours
from seqgen.tokenizers import SPECIALS, Tokenizer, Tokenizers
from seqgen.tokenizers import tokenizers as registry

ANY_VOCABULARY = 1_000_000
"""The vocabulary with which `rehearse` builds, on the meta device."""


@dataclass(frozen=True)
class Built:
    """The parts of a recipe, ready to train or to generate."""

    recipe: Recipe
    data: Data[Any]
    tokenizers: Tokenizers
    model: Model
    device: torch.device
    threads: int

    @property
    def parameters(self) -> int:
        """The number of trained numbers, those that two parts share counted once."""
        return sum(each.numel() for each in self.model.parameters())

    @property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer of what is generated."""
        return self.tokenizers[self.data.output_field]

    def generator(self) -> Generator:
        """The parts that generation needs."""
        model = cast(Generative, self.model)
        options = self.recipe.generation
        return Generator(model, self.tokenizers, self.data, self.device, options)

    def judge(self) -> Judge:
        """What a split is judged by. Errors: OptionError for a metric that is there twice."""
        metrics = by_name(cast(Sequence[Part[Metric]], self.recipe.metrics))
        return Judge(self.generator(), metrics, self.recipe.evaluation.batch_size)


def build_data(recipe: Recipe) -> Data[Any]:
    """The data, unread."""
    data: Data[Any] = recipe.data(seed=recipe.seed)
    return data


def fit_tokenizers(recipe: Recipe, data: Data[Any]) -> dict[str, Tokenizer]:
    """A tokenizer for each field of the data, which has learned from its training texts.

    With `share_tokenizer` the fields that the recipe's `tokenizer` is for have one and the same.
    """
    texts, parts = data.training_texts(), tokenizer_parts(recipe, data)
    fitted: dict[str, Tokenizer] = {}
    shared = [field for field in data.fields if parts[field] is recipe.tokenizer]
    if recipe.share_tokenizer:
        together: Tokenizer = recipe.tokenizer()
        together.fit(chain.from_iterable(texts[field] for field in shared))
        fitted = dict.fromkeys(shared, together)
    for field in data.fields:
        if field not in fitted:
            fitted[field] = parts[field]()
            fitted[field].fit(texts[field])
    return {field: fitted[field] for field in data.fields}


def tokenizer_parts(recipe: Recipe, data: Data[Any]) -> dict[str, Any]:
    """For each field of the data what makes its tokenizer: what the recipe says of the field, else
    what the kind of data usually has there, else the recipe's `tokenizer`."""
    named = recipe.tokenizers or {}
    for field in named:
        if field not in data.fields:
            fields = ", ".join(data.fields)
            raise OptionError(("tokenizers", field), f"this data has no such field ({fields})")
    usual = {field: registry.check(name) for field, name in data.default_tokenizers.items()}
    return {field: named.get(field, usual.get(field, recipe.tokenizer)) for field in data.fields}


def build(
    recipe: Recipe, data: Data[Any], tokenizers: Tokenizers, batch_tokens: int = 2048
) -> Built:
    """The model with weights drawn from the recipe's seed, on its device.

    `batch_tokens`, how many tokens it will see at once, decides with its size how many threads
    pay. Also sets torch's seed and number of threads, which belong to the process. Errors:
    OptionError for options that do not go together, SetupError for a device that is not there or
    too small.
    """
    device = choose_device(recipe.device)
    torch.manual_seed(recipe.seed)
    with memory_for("the model; it needs fewer or smaller layers"):
        sizes = data.sizes(tokenizers)
        model: Model = recipe.model(**sizes).to(device)
    _check_sources(recipe, model, sizes)
    _check_replacing(recipe, model)
    built = Built(recipe, data, tokenizers, model, device, 0)
    work = built.parameters * batch_tokens
    threads = choose_threads(recipe.threads, work, available_cores())
    torch.set_num_threads(threads)
    return Built(recipe, data, tokenizers, model, device, threads)


Load = Callable[[str], SecondaryModel]
"""From a run directory to its model, as one that generates together with another."""


def build_decoder(
    recipe: Recipe, tokenizer: Tokenizer, seed: int | None = None, load: Load | None = None
) -> Decoder:
    """The recipe's decoder, drawing from `seed` (the recipe's where it is None)."""
    return supply_decoder(recipe.decoder, tokenizer, recipe.seed if seed is None else seed, load)


def supply_decoder(part: Any, tokenizer: Tokenizer, seed: int, load: Load | None = None) -> Decoder:
    """The decoder of a checked part; `load` is for constraints with which other runs help."""

    def encode(text: str) -> list[int]:
        tokens: list[int] = tokenizer.encode(text).tolist()
        return tokens

    helping = {} if load is None else {"load": load}
    decoder: Decoder = part(seed=seed, vocab_size=len(tokenizer), encode=encode, **helping)
    return decoder


def save_tokenizers(tokenizers: Tokenizers, folder: Path) -> None:
    """A folder for each field."""
    for field, tokenizer in tokenizers.items():
        tokenizer.save(folder / field)


def restore_tokenizers(recipe: Recipe, data: Data[Any], folder: Path) -> dict[str, Tokenizer]:
    """The tokenizers that a run has saved in `folder`. Errors: CheckpointError."""
    restored = {}
    for field, part in tokenizer_parts(recipe, data).items():
        tokenizer: Tokenizer = part()
        try:
            tokenizer.load(folder / field)
        except (OSError, ValueError, KeyError) as error:
            reason = " ".join(str(error).split())
            where = folder / field
            raise CheckpointError(f"{where}: the tokenizer cannot be loaded: {reason}") from None
        restored[field] = tokenizer
    return restored


def rehearse(recipe: Recipe) -> None:
    """Build what can be built without data: options that do not go together raise OptionError."""
    data = build_data(recipe)
    for part in tokenizer_parts(recipe, data).values():
        part()
    by_name(cast(Sequence[Part[Metric]], recipe.metrics))
    # Nothing is fitted yet, and of a tokenizer only the length matters here; a large one, so that
    # no option is refused that a real vocabulary may allow.
    stand_in = cast(Tokenizer, range(ANY_VOCABULARY))
    sizes = data.sizes(dict.fromkeys(data.fields, stand_in))
    recipe.train.schedule()
    try:
        with torch.device("meta"):  # shapes only, so a huge model costs nothing
            model: Model = recipe.model(**sizes)
            recipe.train.optimizer(params=list(model.parameters()), lr=recipe.train.lr)
    except RuntimeError as error:
        if "overflow" not in str(error):
            raise
        raise OptionError(("model",), "its sizes together are beyond any memory") from None
    _check_replacing(recipe, model)
    rehearse_decoder(recipe.decoder, recipe.seed)


def rehearse_decoder(part: Any, seed: int) -> None:
    """Build a checked decoder without a run: options that do not go together raise OptionError."""
    part(seed=seed, vocab_size=ANY_VOCABULARY, encode=_any_tokens, load=_not_in_rehearsal)


def _check_replacing(recipe: Recipe, model: Model) -> None:
    """An OptionError where unknown words shall be replaced and there is nothing to do it by."""
    if recipe.generation.replace_unknown and not cast(Generative, model).looks_back:
        message = "needs a model that looks back at its source: seq2seq with attention"
        raise OptionError(("generation", "replace_unknown"), message)


def _check_sources(recipe: Recipe, model: Model, sizes: Mapping[str, Any]) -> None:
    """An OptionError where the data has sources and a model of ours reads none; where only the
    model wants them, it cannot be built."""
    part = cast(Part[Model], recipe.model)
    reads = part.registry.entry(part.name).supplied
    if "source" in sizes and is_ours(model) and "source" not in reads:
        raise OptionError(part.path, f"{part.name} reads no sources, which this data has")


def _any_tokens(text: str) -> list[int]:
    """A token for each character: what a tokenizer that is not fitted yet may make of `text`."""
    return list(range(len(SPECIALS), len(SPECIALS) + len(text)))


def _not_in_rehearsal(run: str) -> SecondaryModel:
    """No run is read before a search begins."""
    raise AssertionError(run)
