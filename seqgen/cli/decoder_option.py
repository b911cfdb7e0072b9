"""What `--decoder`, `--set` and `--n-best` say, as a decoder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

from seqgen.config import Override, read_override
from seqgen.decoders import Decoder, decoders
from seqgen.errors import RecipeError, UsageError
from seqgen.options import OptionError
from seqgen.trained import TrainedRun

T = TypeVar("T")


class DecoderOptions(NamedTuple):
    """The name of a decoder (None: the recipe's own), `key=value` settings of it, the seed that it
    draws from, and how many sequences it shall find for each source."""

    name: str | None = None
    settings: Sequence[str] = ()
    seed: int | None = None
    n_best: int | None = None

    def build(self, trained: TrainedRun) -> Decoder:
        """The decoder. Errors: RecipeError that names the setting, UsageError."""
        return self._made(trained, lambda wanted: trained.decoder(wanted, self.seed))

    def spec(self, trained: TrainedRun) -> dict[str, Any]:
        """The same as plain data, every option written out. Errors: as those of `build`."""
        return self._made(trained, lambda wanted: decoders.check(wanted).plain())

    def _made(self, trained: TrainedRun, make: Callable[[dict[str, Any]], T]) -> T:
        overrides = [read_override(each, "--set") for each in self.settings]
        wanted = trained.decoder_spec(self.name, overrides)
        if self.n_best is not None:
            wanted.update(_several(wanted, self.n_best, {each.path[0] for each in overrides}))
        try:
            return make(wanted)
        except OptionError as error:
            raise self._named(error, wanted, overrides) from None

    def _named(
        self, error: OptionError, wanted: dict[str, Any], overrides: Sequence[Override]
    ) -> RecipeError:
        """The error with what on the command line it is about."""
        path = ".".join(str(step) for step in error.path)
        if error.at_key and len(error.path) == 1:
            having = [each for each in decoders.names() if path in decoders.entry(each).options]
            if having:
                error = OptionError(
                    error.path,
                    f"{error.message}; these have it: {', '.join(having)} (--decoder)",
                    at_key=True,
                )
        for override in overrides:
            if override.path[:1] == error.path[:1]:
                place = override.place(error.path, at_key=error.at_key)
                return RecipeError(f"{place}: {path}: {error.message}")
        about = f"--decoder {wanted['name']}"
        if self.n_best is not None and "n_best" in error.message:
            about = f"--n-best {self.n_best}"
        return RecipeError(f"{about}: {error.message}")


def _several(wanted: dict[str, Any], n_best: int, given: set[str | int]) -> dict[str, Any]:
    """The options with which a decoder finds `n_best` sequences; those that were `given` stay."""
    name = wanted.get("name")
    if name not in decoders.names():  # which will be said
        return {}
    options = decoders.entry(name).options
    chooses = "n_best" in options
    changes: dict[str, Any] = {"n_best": n_best} if chooses else {}
    if "beam_size" in options and "beam_size" not in given:
        size = wanted.get("beam_size", options["beam_size"].default)
        wide_enough = chooses and isinstance(size, int) and size >= n_best
        return changes if wide_enough else {**changes, "beam_size": n_best}
    if not chooses and "beam_size" not in options and n_best > 1:
        raise UsageError(
            f"--n-best {n_best}: the decoder '{name}' finds one sequence for a source; take "
            "another, such as --decoder beam (--samples draws several times)"
        )
    return changes
