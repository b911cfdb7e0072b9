"""Systems, each a run and a decoder with its options: how a plan is read and expanded into them,
what they are called, and which of them make a curve."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import product
from math import inf, isfinite, prod
from typing import Any

from seqgen import config, options
from seqgen.comparison.document import Curve, CurvePoint
from seqgen.comparison.plan import Plan
from seqgen.config import ConfigFile, Override, lay_over, path_of
from seqgen.decoders import decoders
from seqgen.errors import RecipeError
from seqgen.options import REQUIRED, KeyPath, OptionError, dotted, shown
from seqgen.registry import Part, plain

MOST = 1000
"""The most decoders of a plan, grids written out: a few keys with a few values soon make more."""

LONGEST = 60
"""The most characters of a value in a label: a list of allowed texts may have thousands."""


@dataclass(frozen=True)
class Origin:
    """Where in a plan a decoder comes from: the path of its strategy, and for each key of the grid
    the index of its value."""

    strategy: KeyPath = ("strategies", 0)
    picks: Mapping[str, int] = field(default_factory=dict)

    @property
    def path(self) -> KeyPath:
        """The path of its strategy, or of the value in a grid of one key."""
        if len(self.picks) != 1:
            return self.strategy
        [(key, pick)] = self.picks.items()
        return (*self.strategy, "grid", key, pick)

    def placed(self, error: OptionError) -> OptionError:
        """An error about the decoder as one about the plan: its path is that of what is wrong."""
        path, at_key = error.path, error.at_key
        found: KeyPath = (*self.strategy, "decoder", *path)
        first = len(error.message)
        for key, pick in self.picks.items():
            in_grid, option = (*self.strategy, "grid", key), path_of(key)
            if path[: len(option)] == option:
                whole = at_key and path == option
                found = in_grid if whole else (*in_grid, pick, *path[len(option) :])
                return OptionError(found, error.message, at_key=at_key)
            # A constructor complains about an option by its name: the first one that a key sets.
            place = error.message.find(f"`{option[-1]}`")
            if option[:-1] == path and 0 <= place < first:
                found, first = (*in_grid, pick), place
        return OptionError(found, error.message, at_key=at_key)


@dataclass(frozen=True)
class System:
    """A strategy of a run. `label` is unique, `spec` is the decoder as plain data with every option
    written out, `run` the index of its run, `draws` says whether its decoder takes a seed (its
    outputs may depend on it), `origin` where in the plan it comes from."""

    label: str
    run: int
    spec: Mapping[str, Any]
    draws: bool
    origin: Origin = field(default_factory=Origin, compare=False, repr=False)


@dataclass(frozen=True)
class PlanSource:
    """A plan's file with its overrides."""

    file: ConfigFile

    @classmethod
    def find(cls, wanted: str, overrides: Sequence[str | Override] = ()) -> PlanSource:
        """The plan of a path, or of the bare name of a bundled one.

        Raises RecipeError with a suggestion.
        """
        return cls(ConfigFile.read(config.find_file(wanted, "plan"), overrides, "plan"))

    def plan(self) -> Plan:
        """The checked plan. Raises RecipeError in one line with the place."""
        data = copy.deepcopy(self.file.data)
        from_grids = _fill_required(data)
        with self.locating_errors():
            try:
                known = options.options_of(Plan)
                return Plan(**options.check_options(known, data, (), "a plan"))
            except OptionError as fault:
                error = config.suggest_place(fault, Plan, data)
                path = from_grids.get(error.path[:4], error.path[:4]) + error.path[4:]
                raise OptionError(path, error.message, at_key=error.at_key) from None

    def expand(self, names: Sequence[str]) -> tuple[Plan, list[System]]:
        """The plan with the label of its baseline, and the systems of runs with these names.

        Raises RecipeError in one line with the place.
        """
        plan = self.plan()
        with self.locating_errors():
            systems = systems_of(plan, names)
            return replace(plan, baseline=baseline_of(plan, systems, names).label), systems

    @contextmanager
    def locating_errors(self) -> Iterator[None]:
        """A context in which an OptionError about the plan becomes a RecipeError with the place: in
        the file, or of an override."""
        try:
            yield
        except OptionError as error:
            raise self.file.error(error) from None


def _fill_required(data: Any) -> Mapping[KeyPath, KeyPath]:
    """Give each decoder the first values in its grid of options without a default.

    Returns where the values come from: for their path in the decoder that in the grid. What has the
    wrong type is left for the check.
    """
    found: dict[KeyPath, KeyPath] = {}
    strategies = data.get("strategies") if isinstance(data, dict) else None
    for index, strategy in enumerate(strategies if isinstance(strategies, list) else ()):
        grid = strategy.get("grid") if isinstance(strategy, dict) else None
        spec = strategy.get("decoder") if isinstance(strategy, dict) else None
        spec = dict(spec) if isinstance(spec, dict) else {"name": spec}
        if not isinstance(grid, dict) or spec.get("name") not in decoders.names():
            continue
        for key, option in decoders.entry(spec["name"]).options.items():
            values = grid.get(key)
            lacking = option.default is REQUIRED and key not in spec
            if lacking and isinstance(values, list) and values:
                spec[key] = values[0]
                where: KeyPath = ("strategies", index)
                found[*where, "decoder", key] = (*where, "grid", key, 0)
        strategy["decoder"] = spec
    return found


def plan_schema() -> dict[str, Any]:
    """The JSON Schema of plans, for editors."""
    schema = config.schema_of_file(Plan, "seqgen plan of a comparison")
    for decoder in schema["$defs"]["decoders"]["anyOf"][1:]:
        decoder["required"] = ["name"]  # a grid may have the rest
    return schema


def systems_of(plan: Plan, names: Sequence[str]) -> list[System]:
    """The systems of a plan: for each run, by name, all its strategies, grids written out.

    Where there are several runs, labels begin with their names. Raises OptionError with the path in
    the plan: of a value that an option cannot take, of a decoder or a label that is there twice.
    """
    counts: dict[KeyPath, int] = {
        ("strategies", index, "grid"): prod(map(len, (each.grid or {}).values()))
        for index, each in enumerate(plan.strategies)
    }
    for path, count in {**counts, ("strategies",): sum(counts.values())}.items():
        if count > MOST:
            message = f"there may be at most {MOST:,} decoders, but these are {count:,}"
            raise OptionError(path, message)
    variants = [each for index in range(len(plan.strategies)) for each in _variants(plan, index)]
    decoding: dict[str, KeyPath] = {}
    labelled: dict[str, KeyPath] = {}
    for variant in variants:
        path, label = variant.origin.path, shown(variant.label)
        same = decoding.setdefault(json.dumps(variant.spec, sort_keys=True), path)
        if same is not path:
            raise OptionError(path, f"{label} decodes as {dotted(same)} does", first=same)
        same = labelled.setdefault(variant.label, path)
        if same is not path:
            message = f"the label {label} is that of {dotted(same)}; give it another `label`"
            raise OptionError(path, message, first=same)
    if len(names) == 1:
        return variants
    return [
        replace(each, label=f"{name}: {each.label}", run=run)
        for run, name in enumerate(names)
        for each in variants
    ]


def _variants(plan: Plan, index: int) -> Iterator[System]:
    """The decoder of a strategy with each combination of the values in its grid.

    Raises OptionError with the path in the plan.
    """
    strategy = plan.strategies[index]
    grid = strategy.grid or {}
    for picks in product(*(range(len(values)) for values in grid.values())):
        origin = Origin(("strategies", index), dict(zip(grid, picks, strict=True)))
        spec = plain(strategy.decoder)
        for key, pick in origin.picks.items():
            path = path_of(key)
            try:
                spec = lay_over(spec, [Override(key, path, grid[key][pick])])
            except RecipeError:
                message = f"leads to no option of decoder '{spec['name']}'"
                raise origin.placed(OptionError(path, message, at_key=True)) from None
        try:
            part = decoders.check(spec)
        except OptionError as error:
            raise origin.placed(error) from None
        label = decoder_label(part, grid, name=strategy.label)
        yield System(label, 0, part.plain(), _draws(part), origin)


def _draws(part: Part[Any]) -> bool:
    """Whether it, or a part inside, takes a seed."""
    inside = part.options.values()
    values = [each for own in inside for each in (own if isinstance(own, tuple) else (own,))]
    own = "seed" in part.registry.entry(part.name).supplied
    return own or any(_draws(each) for each in values if isinstance(each, Part))


def check_decoders(
    plan: Plan,
    systems: Sequence[System],
    build: Callable[[System], object],
    names: Sequence[str] = ("run",),
) -> None:
    """Call `build` for each of `systems`, and for the decoder of the best of n of each run.

    Raises OptionError with the path in the plan where that raises one, and with the run's name
    where there are several.
    """
    spec, origin = plain(plan.best_of.decoder), Origin(("best_of",))
    best_of = [System("best of n", run, spec, True, origin) for run in range(len(names))]
    for system in [*systems, *best_of]:
        try:
            build(system)
        except OptionError as error:
            about = f" (of the run {names[system.run]})" if len(names) > 1 else ""
            described = OptionError(error.path, f"{error.message}{about}", at_key=error.at_key)
            raise system.origin.placed(described) from None


def baseline_of(plan: Plan, systems: Sequence[System], names: Sequence[str]) -> System:
    """What the others are tested against: the plan's `baseline`, else the first of all.

    A label without a run is that of the first run that has it. Raises OptionError.
    """
    if plan.baseline is None:
        return systems[0]
    for system in systems:
        if plan.baseline in (system.label, system.label.removeprefix(f"{names[system.run]}: ")):
            return system
    labels = [system.label for system in systems]
    few = ", ".join([*labels[:8], *(["..."] if len(labels) > 8 else [])])
    near = options.did_you_mean(plan.baseline, labels)
    raise OptionError(("baseline",), f"nothing is called {shown(plan.baseline)}{near} ({few})")


def decoder_label(
    part: Part[Any], also: Collection[str] = (), *, name: str | None = None, without: str = ""
) -> str:
    """`beam alpha=0.5 beam_size=3`: the decoder and its options that are not the defaults, or a
    `name` in place of these; then the options of `also`, defaults or not; `without` is left out.

    Options of parts inside are named by their path, `sampler.temperature=0.7`.
    """
    settings = _differing(part) if name is None else {}
    for key in also:
        value: Any = part
        for step in path_of(key):
            if not isinstance(value, Part):
                value = value[step]
            else:
                value = value.name if step == "name" else value.options[str(step)]
        settings.pop(key, None)
        settings[key] = value.name if isinstance(value, Part) else value
    settings.pop(without, None)
    words = [part.name if name is None else name]
    for key, value in settings.items():
        text = _text(value)
        words.append(f"{key}={text if len(text) <= LONGEST else text[: LONGEST - 3] + '...'}")
    return " ".join(words)


def _differing(part: Part[Any]) -> dict[str, Any]:
    """The options that differ from their defaults, by their paths."""
    found: dict[str, Any] = {}
    for key, option in part.registry.entry(part.name).options.items():
        value = part.options[key]
        default = REQUIRED if option.default is REQUIRED else options.default_of(option)
        if not isinstance(value, Part):
            if value != default:
                found[key] = value
            continue
        if not isinstance(default, Part) or default.name != value.name:
            found[key] = value.name
        found.update({f"{key}.{each}": inner for each, inner in _differing(value).items()})
    return found


def _text(value: Any) -> str:
    if isinstance(value, Part):
        return decoder_label(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(_text(each) for each in value)}]"
    value = plain(value)
    if value == inf:
        return "inf"
    plain_word = isinstance(value, str) and re.fullmatch(r"[^\s,=\[\]]+", value)
    return value if plain_word else json.dumps(value, ensure_ascii=False)


def curves(systems: Sequence[System], names: Sequence[str]) -> list[Curve]:
    """Each family of at least three systems of one run whose decoders differ in one numeric option
    only (`sampler.temperature` for one of a part inside)."""
    families: dict[tuple[int, str, str], list[tuple[int | float, System]]] = {}
    for system in systems:
        leaves = dict(_leaves(plain(system.spec)))
        for option, value in leaves.items():
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if number and isfinite(value):
                rest = json.dumps({**leaves, option: None}, sort_keys=True)
                families.setdefault((system.run, option, rest), []).append((value, system))
    found = []
    for (run, option, _), family in families.items():
        if len(family) >= 3:
            name = decoder_label(decoders.check(plain(family[0][1].spec)), without=option)
            pairs = sorted(family, key=lambda pair: pair[0])
            points = [CurvePoint(at=at, label=system.label) for at, system in pairs]
            found.append(Curve(option=option, name=name, run=names[run], points=points))
    return found


def _leaves(value: Any, path: KeyPath = ()) -> Iterator[tuple[str, Any]]:
    """Each value that is no mapping or list, by its path."""
    if not isinstance(value, dict | list):
        yield dotted(path), value
        return
    for key, each in value.items() if isinstance(value, dict) else enumerate(value):
        yield from _leaves(each, (*path, key))
