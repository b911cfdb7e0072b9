"""Building: from a Recipe to tokenizer, data and model. Sizes pass between rooms only here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from seqgen.data import Data
from seqgen.decoders import Decoder
from seqgen.errors import CheckpointError
from seqgen.generate import Generator
from seqgen.machine import available_cores, choose_device, choose_threads, memory_for
from seqgen.models import Model
from seqgen.recipe import Recipe
from seqgen.tokenizers import Tokenizer


@dataclass(frozen=True)
class Built:
    """The parts of a recipe, ready to train or to generate."""

    recipe: Recipe
    data: Data[Any]
    tokenizer: Tokenizer
    model: Model
    device: torch.device
    threads: int

    @property
    def parameters(self) -> int:
        """The number of trained numbers, those that two parts share counted once."""
        return sum(each.numel() for each in self.model.parameters())

    def generator(self) -> Generator:
        """The parts that generation needs."""
        return Generator(self.model, self.tokenizer, self.data, self.device)


def build_data(recipe: Recipe) -> Data[Any]:
    """The data, unread."""
    data: Data[Any] = recipe.data(seed=recipe.seed)
    return data


def fit_tokenizer(recipe: Recipe, data: Data[Any]) -> Tokenizer:
    """A tokenizer that has learned from the training texts."""
    tokenizer: Tokenizer = recipe.tokenizer()
    tokenizer.fit(data.training_texts())
    return tokenizer


def build(recipe: Recipe, data: Data[Any], tokenizer: Tokenizer) -> Built:
    """The model with weights drawn from the recipe's seed, on its device.

    Also sets torch's seed and number of threads, which belong to the process. Errors: OptionError
    for options that do not go together, SetupError for a device that is not there or too small.
    """
    device = choose_device(recipe.device)
    torch.manual_seed(recipe.seed)
    with memory_for("the model; it needs fewer or smaller layers"):
        model: Model = recipe.model(vocab_size=len(tokenizer)).to(device)
    built = Built(recipe, data, tokenizer, model, device, 0)
    threads = choose_threads(recipe.threads, built.parameters, available_cores())
    torch.set_num_threads(threads)
    return Built(recipe, data, tokenizer, model, device, threads)


def build_decoder(recipe: Recipe, tokenizer: Tokenizer, seed: int | None = None) -> Decoder:
    """The recipe's decoder, drawing from `seed` (the recipe's where it is None)."""
    return supply_decoder(recipe.decoder, tokenizer, recipe.seed if seed is None else seed)


def supply_decoder(part: Any, tokenizer: Tokenizer, seed: int) -> Decoder:
    """The decoder of a checked part."""
    decoder: Decoder = part(seed=seed, vocab_size=len(tokenizer))
    return decoder


def restore_tokenizer(recipe: Recipe, folder: Any) -> Tokenizer:
    """The tokenizer that a run has saved in `folder`. Errors: CheckpointError."""
    tokenizer: Tokenizer = recipe.tokenizer()
    try:
        tokenizer.load(folder)
    except (OSError, ValueError, KeyError) as error:
        reason = " ".join(str(error).split())
        raise CheckpointError(f"{folder}: the tokenizer cannot be loaded: {reason}") from None
    return tokenizer


def rehearse(recipe: Recipe) -> None:
    """Build what can be built without data: options that do not go together raise OptionError."""
    build_data(recipe)
    recipe.tokenizer()
    recipe.train.schedule()
    with torch.device("meta"):  # shapes only, so a huge model costs nothing
        model: Model = recipe.model(vocab_size=64)
        recipe.train.optimizer(params=list(model.parameters()), lr=recipe.train.lr)
    recipe.decoder(seed=recipe.seed, vocab_size=64)
