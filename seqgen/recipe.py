"""The Recipe type, made of the rooms' own option types, and how a file becomes one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seqgen.config import ConfigFile, schema_of_file
from seqgen.data import DataFactory
from seqgen.decoders import DecoderFactory, Greedy
from seqgen.evaluate import EvaluationOptions
from seqgen.generate import GenerationOptions, SampleOptions
from seqgen.machine import Device, Threads
from seqgen.metrics import MetricFactory
from seqgen.models import ModelFactory
from seqgen.options import Seed
from seqgen.registry import plain
from seqgen.tokenizers import CharTokenizer, TokenizerFactory
from seqgen.trackers import TrackerFactory
from seqgen.training import TrainOptions
from seqgen.yaml_io import dump


@dataclass(frozen=True)
class Recipe:
    """What to do, as checked options: parts by name, no tensors, nothing built."""

    data: DataFactory
    model: ModelFactory
    train: TrainOptions
    tokenizer: TokenizerFactory = CharTokenizer
    tokenizers: Mapping[str, TokenizerFactory] | None = None
    """For single fields of the data, such as `source` or `target`, instead of `tokenizer`."""
    share_tokenizer: bool = False
    """Whether the fields that `tokenizer` is for have one vocabulary, learned from all of them."""
    decoder: DecoderFactory = Greedy
    generation: GenerationOptions = GenerationOptions()  # noqa: RUF009  it is frozen
    metrics: tuple[MetricFactory, ...] = ()
    evaluation: EvaluationOptions = EvaluationOptions()  # noqa: RUF009
    samples: SampleOptions = SampleOptions()  # noqa: RUF009
    trackers: tuple[TrackerFactory, ...] = ()
    seed: Seed = 1
    device: Device = "auto"
    threads: Threads = "auto"
    plugins: tuple[str, ...] = ()
    description: str = ""

    def plain(self) -> dict[str, Any]:
        """The recipe as plain data, every option written out."""
        data: dict[str, Any] = plain(self)
        return data

    def text(self) -> str:
        """The recipe as YAML, every option written out."""
        return dump(self.plain())


def check_recipe(file: ConfigFile) -> Recipe:
    """The Recipe of a file, whose plugins are imported already.

    Raises RecipeError in one line with the place, be it in the file or in an override.
    """
    return file.options(Recipe, "a recipe")


def named_plugins(file: ConfigFile) -> list[str]:
    """The plugin files that it names, before anything else of it is checked."""
    named = file.data.get("plugins")
    return [each for each in named if isinstance(each, str)] if isinstance(named, list) else []


def recipe_schema() -> dict[str, Any]:
    """The JSON Schema of recipes, for editors."""
    return schema_of_file(Recipe, "seqgen recipe")


def read_recipe(path: Path, overrides: Sequence[str] = ()) -> Recipe:
    """The Recipe of the file at `path`, with `key=value` overrides laid over it."""
    return check_recipe(ConfigFile.read(path, overrides))
