"""Plans as they are written: in a file or on the command line, and where in them something is."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from seqgen.comparison.plan import Plan
from seqgen.comparison.systems import System, baseline_of, systems_of
from seqgen.config import (
    ConfigFile,
    Override,
    find_file,
    schema_of_file,
    suggest_place,
)
from seqgen.decoders import decoders
from seqgen.options import REQUIRED, KeyPath, OptionError, check_options, options_of


@dataclass(frozen=True)
class PlanSource:
    """A plan's file with its overrides."""

    file: ConfigFile

    @classmethod
    def find(cls, wanted: str, overrides: Sequence[Override] = ()) -> PlanSource:
        """The plan that `wanted` means: a path, or the bare name of one that comes along.

        Errors: RecipeError with a suggestion.
        """
        return cls(ConfigFile.read(find_file(wanted, "plan"), overrides))

    def plan(self) -> Plan:
        """The checked plan. Errors: RecipeError in one line with the place."""
        data = copy.deepcopy(self.file.data)
        from_grids = _fill_required(data)
        with self.placing():
            try:
                return Plan(**check_options(options_of(Plan), data, (), "a plan"))
            except OptionError as fault:
                error = suggest_place(fault, Plan, data)
                path = from_grids.get(error.path[:4], error.path[:4]) + error.path[4:]
                raise OptionError(path, error.message, at_key=error.at_key) from None

    def entered(self, names: Sequence[str]) -> tuple[Plan, list[System]]:
        """The plan, whose baseline is a system's label, and the systems of runs with these names.

        Errors: RecipeError in one line with the place.
        """
        plan = self.plan()
        with self.placing():
            systems = systems_of(plan, names)
            return replace(plan, baseline=baseline_of(plan, systems, names).label), systems

    @contextmanager
    def placing(self) -> Iterator[None]:
        """A context in which an OptionError is about the plan, and becomes a RecipeError with the
        place: in the file, or of an override."""
        try:
            yield
        except OptionError as error:
            raise self.file.error(error) from None


def plan_schema() -> dict[str, Any]:
    """The JSON Schema of plans, for editors."""
    schema = schema_of_file(Plan, "seqgen plan of a comparison")
    for decoder in schema["$defs"]["decoders"]["anyOf"][1:]:
        decoder["required"] = ["name"]  # a grid may have the rest
    return schema


def _fill_required(data: Any) -> Mapping[KeyPath, KeyPath]:
    """Give each decoder the first values that its grid has of options without a default.

    Returns where the values come from: for their path in the decoder that in the grid. What is not
    as it must be is left, for it will be found.
    """
    found: dict[KeyPath, KeyPath] = {}
    strategies = data.get("strategies") if isinstance(data, dict) else None
    for place, strategy in enumerate(strategies if isinstance(strategies, list) else ()):
        grid = strategy.get("grid") if isinstance(strategy, dict) else None
        spec = strategy.get("decoder") if isinstance(strategy, dict) else None
        spec = dict(spec) if isinstance(spec, dict) else {"name": spec}
        if not isinstance(grid, dict) or spec.get("name") not in decoders.names():
            continue
        for key, option in decoders.entry(spec["name"]).options.items():
            values = grid.get(key)
            if (
                option.default is REQUIRED
                and key not in spec
                and isinstance(values, list)
                and values
            ):
                spec[key] = values[0]
                where: KeyPath = ("strategies", place)
                found[*where, "decoder", key] = (*where, "grid", key, 0)
        strategy["decoder"] = spec
    return found
