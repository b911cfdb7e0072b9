"""What a command line says of a plan: `--plan`, or `--decoder` and `--set`, and what changes it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from seqgen.comparison import Plan, PlanSource
from seqgen.config import ConfigFile, Override, read_override, read_value_file
from seqgen.decoders import decoders
from seqgen.errors import RecipeError, UsageError
from seqgen.options import did_you_mean, options_of
from seqgen.recipe import Recipe
from seqgen.yaml_io import Document, Mark, parse_value

PREFIX = "plan."
"""What overrides of the plan begin with; others are of the recipes."""

FLAGS = {
    "--split": ("inputs", "split"),
    "--input": ("inputs", "file"),
    "--prompt": ("inputs", "prompts"),
    "--most": ("inputs", "most"),
    "--seed": ("seed",),
}
"""What each flag sets in a plan."""

SOURCES = ("--split", "--input", "--prompt")
"""Those that say where inputs come from."""

BEFORE_SPLIT = ("prompts", "file", "rows")
"""The options of a plan's inputs that come before its split."""


class Words(NamedTuple):
    """The words of a command line that are no options: run directories, what changes the plan, and
    `key=value` for the recipes of the runs."""

    runs: list[Path]
    of_plan: list[Override]
    of_recipes: list[str]


def split_arguments(words: Sequence[str]) -> Words:
    """Which word is what: one with `=` that is no path is an override.

    Raises RecipeError, and UsageError if there is no run.
    """
    found = Words([], [], [])
    of_plans = options_of(Plan).keys() - options_of(Recipe).keys()
    for word in words:
        if "=" not in word or os.path.lexists(word):
            found.runs.append(Path(word))
        elif word.strip().startswith(PREFIX):
            whole = read_override(word)
            found.of_plan.append(replace(whole, path=whole.path[1:]))
        elif word.partition("=")[0].strip().partition(".")[0] in of_plans:
            raise UsageError(f"{word} is of the plan, not of a recipe; did you mean plan.{word}?")
        else:
            found.of_recipes.append(word)
    if not found.runs:
        raise UsageError("RUN is missing: the directory of at least one run")
    return found


def flag_overrides(flags: Mapping[str, Any]) -> list[Override]:
    """What `--split`, `--input`, `--prompt`, `--most` and `--seed` change in a plan, where given.

    One of the first three says where inputs come from, and replaces what the plan says of that.
    Raises UsageError if there are two of them.
    """
    given = {name: value for name, value in flags.items() if value is not None and value != []}
    sources = [name for name in given if name in SOURCES]
    if len(sources) > 1:
        raise UsageError(f"{' and '.join(sources)} exclude one another")
    found = []
    for name, value in given.items():
        *section, key = FLAGS[name]
        text = f" {name} ".join(value) if isinstance(value, list) else str(value)
        plain = value if isinstance(value, list | int) else text
        options = {**dict.fromkeys(BEFORE_SPLIT if name in SOURCES else ()), key: plain}
        found += [Override(text, (*section, each), own, name) for each, own in options.items()]
    return found


class PlanOptions(NamedTuple):
    """A plan's path or name, or names of decoders and `key=value,value` settings of them; and what
    is laid over the plan."""

    plan: str | None
    decoders: Sequence[str]
    settings: Sequence[str]
    overrides: Sequence[Override]

    def given_plan(self) -> PlanSource | None:
        """The plan, None if neither it nor a decoder is named. Raises UsageError, RecipeError."""
        if self.plan is not None and self.decoders:
            raise UsageError(
                "--plan and --decoder exclude one another; plan.strategies=[...] replaces the "
                "decoders of a plan"
            )
        if self.settings and not self.decoders:
            raise UsageError("--set goes with --decoder NAME, whose option it is")
        if self.decoders:
            return self._of_decoders()
        if self.plan is not None:
            return PlanSource.find(self.plan, self.overrides)
        return None

    def default_plan(self, continues: bool) -> PlanSource:
        """The bundled plan for models that continue prompts, or for those that answer sources."""
        return PlanSource.find("language_model" if continues else "seq2seq", self.overrides)

    def _of_decoders(self) -> PlanSource:
        """A strategy for each decoder. All of it are overrides, so that errors name them."""
        said = []
        for place, name in enumerate(self.decoders):
            try:
                decoders.entry(name)
            except ValueError as error:
                raise RecipeError(f"--decoder {name}: {error}") from None
            said.append(Override(name, ("strategies", place, "decoder"), name, "--decoder"))
        said += self._grids()
        empty = [dict[str, object]() for _ in self.decoders]
        document = Document({"strategies": empty}, {}, {(): Mark(1, 1)})
        every = (*said, *self.overrides)
        return PlanSource(ConfigFile("the command line", Path(), document, every))

    def _grids(self) -> Iterator[Override]:
        """Each setting for each decoder that has the option."""
        seen = set()
        for text in self.settings:
            key, values, files = _read_setting(text)
            if key in seen:
                raise UsageError(f"--set {key} is given twice; all its values go into one: 1,2,3")
            seen.add(key)
            options = {name: decoders.entry(name).options for name in self.decoders}
            option = key.split(".")[0]
            places = [i for i, name in enumerate(self.decoders) if option in options[name]]
            if not places:
                every = sorted({each for own in options.values() for each in own})
                which = " or ".join(f"'{name}'" for name in options)
                raise RecipeError(
                    f"--set {text}: {key}: not an option of decoder {which}"
                    f"{did_you_mean(key, every)} ({', '.join(every)})"
                )
            for place in places:
                path = ("strategies", place, "grid", key)
                yield Override(text, path, values, "--set")
                for number, (name, document) in enumerate(files.items()):
                    yield Override(text, (*path, number), document.data, "--set", name, document)


def _read_setting(text: str) -> tuple[str, object, dict[str, Document]]:
    """The key and the values of `key=value,value` or of `key=@file,@file`, where each file holds
    one value; and the files. Raises RecipeError."""
    key, equals, value = text.partition("=")
    if not equals or not key.strip() or not value.strip():
        raise RecipeError(f"--set {text}: must be of the form key=value or key=value,value")
    if value.strip().startswith("@"):
        names = value.strip().removeprefix("@").split(",@")
        files = {each: read_value_file(each, f"--set {text}") for each in names}
        return key.strip(), [each.data for each in files.values()], files
    try:
        return key.strip(), parse_value(f"[{value}]"), {}
    except ValueError as error:
        raise RecipeError(f"--set {text}: {error}") from None
