"""Measures: what a column is called, which way it is better, and how its values are written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from seqgen.reports.fields import Record, as_number, finite, items, record, string
from seqgen.reports.measures import ARROWS
from seqgen.reports.quantities import brief_count, figure, share


@dataclass(frozen=True)
class Measure:
    """A measure by its id. `better` is lower, higher or empty, `unit` may be empty."""

    name: str
    title: str
    group: str
    better: str = ""
    unit: str = ""
    about: str = ""

    @property
    def arrow(self) -> str:
        """What stands behind the title to say which way is better."""
        return ARROWS.get(self.better, "")

    @property
    def shown_unit(self) -> str:
        """The unit of what `written` writes."""
        # What is counted in rows says so in its title.
        return {"share": "%", "bytes": "MB", "rows": ""}.get(self.unit, self.unit)


@dataclass(frozen=True)
class Value:
    """A value, the interval that it lies in, and its smallest and largest over `spread_of`."""

    value: float
    low: float | None = None
    high: float | None = None
    spread: tuple[float, float] | None = None
    spread_of: str = ""


SPEED: Final = (
    Measure(
        "sequences_per_second",
        "sequences per second",
        "speed",
        "higher",
        about="Outputs in a second of wall clock: the median of the repeats.",
    ),
    Measure(
        "tokens_per_second",
        "tokens per second",
        "speed",
        "higher",
        about="Tokens of outputs in a second of wall clock: the median of the repeats.",
    ),
    Measure(
        "calls",
        "model calls",
        "speed",
        "lower",
        about="How often the model was called for the timed inputs: one call reads a token of "
        "each row that is followed at that time.",
    ),
    Measure(
        "peak_bytes",
        "peak memory",
        "memory",
        "lower",
        "bytes",
        "The most memory in use while the timed inputs were decoded.",
    ),
)
"""What `timings` has for each system; the other measures are described in compare.json itself."""


def described(found: Record) -> dict[str, Measure]:
    """The measures that compare.json describes, in their order."""
    return {name: _measure(name, record(found, name)) for name in found}


def _measure(name: str, found: Record) -> Measure:
    title = string(found, "title") or name.replace("_", " ")
    group = string(found, "group") or "other"
    rest = (string(found, key) for key in ("better", "unit", "about"))
    return Measure(name, title, group, *rest)


def timed(systems: Iterable[Record]) -> dict[str, Measure]:
    """Those of SPEED that some system has."""
    known = list(systems)
    return {
        measure.name: measure
        for measure in SPEED
        if any(finite(each, measure.name) is not None for each in known)
    }


def valued(found: Record) -> Value | None:
    """A value as compare.json has it, or None where there is no finite one."""
    value = finite(found, "value")
    if value is None:
        return None
    low, high = finite(found, "low"), finite(found, "high")
    seeds = [each for each in map(as_number, items(found, "by_seed")) if each is not None]
    spread = (min(seeds), max(seeds)) if len(seeds) > 1 else None
    if low is None or high is None:
        low = high = None
    return Value(value, low, high, spread, f"{len(seeds)} seeds")


def written(measure: Measure, value: float | None) -> str:
    """The value without its unit, as it stands under a title that says the unit."""
    if measure.unit == "share":
        return share(value).removesuffix(" %")
    if measure.unit == "bytes" and value is not None:
        return figure(value / 1e6)
    if value is not None and 1e-4 <= abs(value) < 0.1:
        return f"{value:#.4g}"  # as many digits as its neighbours in a column
    return brief_count(value) if value is not None and abs(value) >= 1e5 else figure(value)


def in_words(measure: Measure, value: float | None) -> str:
    """The value with its unit."""
    if value is None or not measure.shown_unit:
        return written(measure, value)
    return f"{written(measure, value)} {measure.shown_unit}"


def span(measure: Measure, low: float, high: float) -> str:
    """From one value to another, without a unit."""
    between = "\u2013" if low >= 0 else " to "
    return f"{written(measure, low)}{between}{written(measure, high)}"


def leading(measures: Mapping[str, Measure], quality: str, diversity: str) -> list[Measure]:
    """The measures that tell most, one for each thing that a reader asks first."""
    wishes: Sequence[Sequence[str]] = (
        (quality,),
        ("log_prob_per_token",),
        (diversity,),
        ("length_ratio", "mean_length"),
        ("finished",),
        ("sequences_per_second", "rows_per_input"),
    )
    found = (next((each for each in wish if each in measures), None) for wish in wishes)
    return [measures[name] for name in found if name]
