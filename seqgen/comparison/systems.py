"""Systems: what is compared, a trained run and a decoder with its options each."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from math import prod
from typing import Any, NamedTuple, cast

from seqgen.comparison.labels import decoder_label, named_label
from seqgen.comparison.plan import Plan, Strategy
from seqgen.config import Override, lay_over, path_of
from seqgen.decoders import Decoder, decoders
from seqgen.errors import RecipeError
from seqgen.options import KeyPath, OptionError, did_you_mean, dotted, shown
from seqgen.registry import Part

MOST = 1000
"""The most strategies of a plan, grids written out: a few keys with a few values soon make more."""


@dataclass(frozen=True)
class Origin:
    """Where in a plan a decoder comes from: the place of its strategy, and for each key of the grid
    the place of the value that it has."""

    strategy: int = 0
    picks: Mapping[str, int] = field(default_factory=dict)

    @property
    def path(self) -> KeyPath:
        """What in the plan makes it: its strategy, or the value in a grid of one key."""
        if len(self.picks) != 1:
            return ("strategies", self.strategy)
        [(key, pick)] = self.picks.items()
        return self._in_grid(key, pick)

    def placed(self, error: OptionError) -> OptionError:
        """An error about the decoder, as one about the plan: its path leads to what said it."""
        for key, pick in self.picks.items():
            path = path_of(key)
            if error.path[: len(path)] != path:
                continue
            if error.at_key and error.path == path:
                return OptionError(self._in_grid(key), error.message, at_key=True)
            rest = error.path[len(path) :]
            return OptionError(
                (*self._in_grid(key, pick), *rest), error.message, at_key=error.at_key
            )
        blamed = {  # what a constructor complains about, by its name: the first of them
            error.message.find(f"`{path_of(key)[-1]}`"): key
            for key in self.picks
            if path_of(key)[:-1] == error.path and f"`{path_of(key)[-1]}`" in error.message
        }
        if blamed:
            key = blamed[min(blamed)]
            return OptionError(self._in_grid(key, self.picks[key]), error.message)
        path = ("strategies", self.strategy, "decoder", *error.path)
        return OptionError(path, error.message, at_key=error.at_key)

    def _in_grid(self, *steps: str | int) -> KeyPath:
        return ("strategies", self.strategy, "grid", *steps)


@dataclass(frozen=True)
class System:
    """A strategy of a run. `label` is unique, `spec` is the decoder as plain data with every option
    written out, `run` the place of its run among those compared, `draws` whether its decoder takes
    a seed (its outputs may depend on it), `origin` where in the plan it stands."""

    label: str
    run: int
    spec: Mapping[str, Any]
    draws: bool
    origin: Origin = field(default_factory=Origin, compare=False, repr=False)


class _Variant(NamedTuple):
    """A decoder of a plan, what it is called, and where it comes from."""

    label: str
    part: Part[Decoder]
    origin: Origin


def systems_of(plan: Plan, names: Sequence[str]) -> list[System]:
    """The systems of a plan: for each run, by name, all its strategies, grids written out.

    Where there are several runs, labels begin with theirs. Errors: OptionError with the path in the
    plan: of a value that an option cannot take, of a decoder or a label that is there twice.
    """
    variants = [
        variant
        for place, strategy in enumerate(plan.strategies)
        for variant in _variants(place, strategy)
    ]
    if len(variants) > MOST:
        raise OptionError(("strategies",), _too_many(len(variants)))
    _check_different(variants)
    several = len(names) > 1
    return [
        System(
            label=f"{name}: {variant.label}" if several else variant.label,
            run=run,
            spec=variant.part.plain(),
            draws=_draws(variant.part),
            origin=variant.origin,
        )
        for run, name in enumerate(names)
        for variant in variants
    ]


def baseline_of(plan: Plan, systems: Sequence[System], names: Sequence[str]) -> System:
    """What the others are tested against: the plan's `baseline`, else the first of all.

    A label without a run is that of the first run that has it. Errors: OptionError.
    """
    if plan.baseline is None:
        return systems[0]
    for system in systems:
        if plan.baseline in (system.label, system.label.removeprefix(f"{names[system.run]}: ")):
            return system
    labels = [system.label for system in systems]
    few = ", ".join(labels[:8]) + (", ..." if len(labels) > 8 else "")
    message = f"nothing is called {shown(plan.baseline)}{did_you_mean(plan.baseline, labels)}"
    raise OptionError(("baseline",), f"{message} ({few})")


def _variants(place: int, strategy: Strategy) -> Iterator[_Variant]:
    """The decoder of a strategy with each combination of the values in its grid."""
    grid = strategy.grid or {}
    count = prod(len(values) for values in grid.values())
    if count > MOST:
        raise OptionError(("strategies", place, "grid"), _too_many(count))
    for picks in product(*(range(len(values)) for values in grid.values())):
        origin = Origin(place, dict(zip(grid, picks, strict=True)))
        part = _with_settings(cast(Part[Decoder], strategy.decoder), grid, origin)
        name = strategy.label
        label = decoder_label(part, grid) if name is None else named_label(name, part, grid)
        yield _Variant(label, part, origin)


def _with_settings(
    part: Part[Decoder], grid: Mapping[str, Sequence[Any]], origin: Origin
) -> Part[Decoder]:
    """The decoder with the values that `origin` picks. Errors: OptionError with the plan's path."""
    spec = part.plain()
    for key, pick in origin.picks.items():
        path, value = path_of(key), grid[key][pick]
        try:
            spec = lay_over(spec, [Override(key, path, value)])
        except RecipeError:
            message = f"leads to no option of decoder '{part.name}'"
            raise origin.placed(OptionError(path, message, at_key=True)) from None
    try:
        return decoders.check(spec)
    except OptionError as error:
        raise origin.placed(error) from None


def _check_different(variants: Sequence[_Variant]) -> None:
    """An OptionError for the second of two decoders that are equal, or are called the same."""
    decoding: dict[str, KeyPath] = {}
    called: dict[str, KeyPath] = {}
    for variant in variants:
        path, label = variant.origin.path, shown(variant.label)
        spec = json.dumps(variant.part.plain(), sort_keys=True)
        same, named = decoding.setdefault(spec, path), called.setdefault(variant.label, path)
        if same is not path:
            message = f"{label} decodes as {dotted(same)} does"
            raise OptionError(path, message, first=same)
        if named is not path:
            message = f"the label {label} is that of {dotted(named)}; give it another `label`"
            raise OptionError(path, message, first=named)


def _draws(part: Part[Any]) -> bool:
    """Whether it, or a part inside, takes a seed."""
    inner = [
        each
        for value in part.options.values()
        for each in (value if isinstance(value, tuple) else (value,))
        if isinstance(each, Part)
    ]
    own = "seed" in part.registry.entry(part.name).supplied
    return own or any(_draws(each) for each in inner)


def _too_many(count: int) -> str:
    return f"there may be at most {MOST:,} decoders, but these are {count:,}"
