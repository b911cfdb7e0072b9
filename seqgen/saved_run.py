"""A run directory read back: its parts, with the weights of its best checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, cast

import torch

from seqgen import plugins
from seqgen.build import Built, Load, build, build_data, restore_tokenizers
from seqgen.decoders import Start
from seqgen.decoders.beside import Reader
from seqgen.errors import CheckpointError
from seqgen.manifest import check_tokenizers, fingerprints
from seqgen.models import Generative
from seqgen.option_files import placed
from seqgen.options import OptionError
from seqgen.overrides import read_override
from seqgen.recipe import Recipe, check_recipe, named_plugins
from seqgen.recipe_source import RecipeSource
from seqgen.run_directory import RunDirectory
from seqgen.tokenizers import Tokenizers
from seqgen.training.checkpoint import Checkpoints, load_weights


def read_run(
    folder: str | Path,
    device: str = "auto",
    overrides: Sequence[str] = (),
    given: Sequence[str | Path] = (),
) -> tuple[RunDirectory, Built]:
    """Read recipe, tokenizer and weights; no data is read.

    `overrides` are laid over the run's recipe. Of the plugins that it names, those `given` are
    imported and all must be. Errors: CheckpointError where there is no run in `folder` or it is
    damaged; PluginError where a plugin is not given; RecipeError, SetupError.
    """
    directory = RunDirectory(Path(folder))
    every = [f"device={device}", *overrides]
    recipe, source = saved_recipe(directory, every, given)
    try:
        data = build_data(recipe)
        tokenizers = restore_tokenizers(recipe, data, directory.tokenizer)
        check_tokenizers(directory, fingerprints(tokenizers))
        built = build(recipe, data, tokenizers)
        built.judge()  # of what cannot be measured here, this is the place to say it
    except OptionError as error:
        raise placed(error, source, [read_override(each) for each in every]) from None
    load_weights(best_checkpoint(directory), built.model)
    built.model.eval()
    return directory, built


def saved_recipe(
    directory: RunDirectory, overrides: Sequence[str], given: Sequence[str | Path]
) -> tuple[Recipe, RecipeSource]:
    """The recipe of a run, checked, with the plugins that a person gave for it.

    Raises CheckpointError if there is no run in the folder, PluginError if a plugin is not given,
    RecipeError.
    """
    directory.require()
    source = RecipeSource.read(directory.recipe)
    plugins.load_installed()
    recorded = directory.record().get("plugins")
    hashes = recorded if isinstance(recorded, dict) else {}  # an older run has none
    named = named_plugins(source, overrides)
    files = plugins.load_given(given, named, hashes, str(directory.folder))
    return replace(check_recipe(source, overrides), plugins=files), source


def best_checkpoint(directory: RunDirectory) -> Path:
    """The folder of the best checkpoint, the last one where none is best yet.

    Errors: CheckpointError where there is none.
    """
    checkpoints = Checkpoints(directory.checkpoints)
    found = checkpoints.find("best") or checkpoints.find("last")
    if found is None:
        raise CheckpointError(f"{directory.folder}: no checkpoint yet")
    return found


def runs_beside(built: Built, given: Sequence[str | Path] = ()) -> Load:
    """A function from a run directory to its model, for those that generate beside `built`.

    Each is read once; `given` are the plugins that a person named, as in `read_run`. Errors,
    besides those of `read_run`: CheckpointError where the tokens are not the same ones, or it reads
    sources of another kind.
    """

    @cache
    def load(run: str) -> Reader:
        threads = torch.get_num_threads()
        # Building seeds torch, and sets its threads; both are those of the run that generates.
        with torch.random.fork_rng(range(torch.cuda.device_count())):
            directory, other = read_run(run, str(built.device), given=given)
        torch.set_num_threads(threads)
        _check_same_tokens(built, other, directory)
        other.model.to(built.model.floats)
        return _reader(built, other, directory)

    return load


class _FromTheBeginning:
    """A model without sources, beside one that reads them: each output is a text of its own."""

    def __init__(self, built: Built) -> None:
        self.built = built
        self.step = cast(Generative, built.model).step

    def start(self, batch: Any) -> Start:
        """Behind nothing, for each row of `batch`."""
        nothing = [""] * len(batch.lengths)
        return cast(Generative, self.built.model).start(self.built.generator().batch(nothing))


def _reader(built: Built, other: Built, directory: RunDirectory) -> Reader:
    """The model of `other`, reading what that of `built` reads."""
    own, theirs = (each.data.sizes(each.tokenizers).get("source") for each in (built, other))
    if theirs is None and own is not None:
        return _FromTheBeginning(other)
    if theirs != own:
        what = "reads sources, which the run that it shall help does not read"
        raise CheckpointError(f"{directory.folder}: {what}")
    return cast(Generative, other.model)


def _check_same_tokens(built: Built, other: Built, directory: RunDirectory) -> None:
    """A CheckpointError unless both read and write the same tokens."""
    both = built.tokenizers.keys() & other.tokenizers.keys()
    same = _prints(built.tokenizers, both) == _prints(other.tokenizers, both)
    if not same or built.tokenizer.fingerprint() != other.tokenizer.fingerprint():
        raise CheckpointError(
            f"{directory.folder}: its tokens are not those of the run that it shall help; "
            "train both with the same tokenizer on the same training text"
        )


def _prints(tokenizers: Tokenizers, roles: set[str]) -> dict[str, str]:
    return {role: tokenizers[role].fingerprint() for role in roles}
