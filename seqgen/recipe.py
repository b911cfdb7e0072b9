"""The Recipe type, made of the rooms' own option types, and how a file becomes one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any, Literal

from seqgen.data import DataFactory
from seqgen.decoders import DecoderFactory, Greedy
from seqgen.errors import RecipeError
from seqgen.evaluate import EvaluationOptions
from seqgen.generate import GenerationOptions, SampleOptions
from seqgen.machine import Device
from seqgen.metrics import MetricFactory
from seqgen.models import ModelFactory
from seqgen.options import (
    OptionError,
    Path,
    Seed,
    Size,
    check_options,
    define_checkers,
    dotted,
    options_of,
    schema_of_options,
)
from seqgen.overrides import Override, lay_over, read_override
from seqgen.recipe_source import RecipeSource
from seqgen.registry import plain
from seqgen.tokenizers import CharTokenizer, TokenizerFactory
from seqgen.training import TrainOptions
from seqgen.yaml_loader import dump


@dataclass(frozen=True)
class Recipe:
    """What to do, as checked options: parts by name, no tensors, nothing built."""

    data: DataFactory
    model: ModelFactory
    train: TrainOptions
    tokenizer: TokenizerFactory = CharTokenizer
    tokenizers: Mapping[str, TokenizerFactory] | None = None
    """For single roles of the data, such as `source` or `target`, instead of `tokenizer`."""
    share_tokenizer: bool = False
    """Whether the roles that `tokenizer` is for have one vocabulary, learned from all of them."""
    decoder: DecoderFactory = Greedy
    generation: GenerationOptions = GenerationOptions()  # noqa: RUF009  it is frozen
    metrics: tuple[MetricFactory, ...] = ()
    evaluation: EvaluationOptions = EvaluationOptions()  # noqa: RUF009
    samples: SampleOptions = SampleOptions()  # noqa: RUF009
    seed: Seed = 1
    device: Device = "auto"
    threads: Size | Literal["auto"] = "auto"
    plugins: tuple[str, ...] = ()
    description: str = ""

    def plain(self) -> dict[str, Any]:
        """The recipe as plain data, every option written out."""
        data: dict[str, Any] = plain(self)
        return data

    def text(self) -> str:
        """The recipe as YAML, every option written out."""
        return dump(self.plain())


def check_recipe(source: RecipeSource, overrides: Sequence[str] = ()) -> Recipe:
    """The Recipe of a file, with `key=value` overrides laid over it.

    Errors: RecipeError in one line with the place, be it in the file or in an override.
    """
    read = [read_override(text) for text in overrides]
    data = lay_over(source.document.data, read)
    try:
        checked = check_options(options_of(Recipe), data, (), "a recipe")
    except OptionError as error:
        raise placed(error, source, read) from None
    return Recipe(**checked)


def named_plugins(source: RecipeSource, overrides: Sequence[str] = ()) -> list[str]:
    """The plugin files that it names, before anything else of it is checked."""
    data = lay_over(source.document.data, [read_override(text) for text in overrides])
    named = data.get("plugins")
    return [each for each in named if isinstance(each, str)] if isinstance(named, list) else []


def placed(error: OptionError, source: RecipeSource, overrides: Sequence[Override]) -> RecipeError:
    """The error with the place that its path has: the override that set it, or file:line:column.

    Where an override changed a part of what is wrong, both are named: either may be at fault.
    """
    message = f"{dotted(error.path)}: {error.message}" if error.path else error.message
    for override in reversed(overrides):
        if error.path[: len(override.path)] == override.path:
            return RecipeError(f"{override}: {message}")
    document = source.document
    marks = document.keys if error.at_key else document.values
    inside = [each for each in overrides if each.path[: len(error.path)] == error.path]
    if error.path and inside:
        if error.path not in marks:  # an override made this path
            return RecipeError(f"{inside[-1]}: {message}")
        message += f" (with {' and '.join(str(each) for each in inside)})"
    mark = _nearest(marks, error.path) or document.values[()]
    return RecipeError(f"{source.name}:{mark.line}:{mark.column}: {message}")


def recipe_schema() -> dict[str, Any]:
    """The JSON Schema of recipes, for editors."""
    options = options_of(Recipe)
    definitions: dict[str, Any] = {}
    define_checkers(options, definitions)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "seqgen recipe",
        **schema_of_options(options),
        "$defs": definitions,
    }


def read_recipe(path: FilePath, overrides: Sequence[str] = ()) -> Recipe:
    """The Recipe of the file at `path`, whose plugins are there already."""
    return check_recipe(RecipeSource.read(path), overrides)


def _nearest(marks: Mapping[Path, Any], path: Path) -> Any:
    """The mark of the longest part of `path` that has one."""
    for length in range(len(path), -1, -1):
        if path[:length] in marks:
            return marks[path[:length]]
    return None
