"""The document of a comparison: what compare.json holds, as types; how it is written and read.

A field without a default is always in the file, null where it is None. A field with a default is in
the file only where it has another value. NaN and the infinities are None in a finished document.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from seqgen.errors import CheckpointError
from seqgen.files import read_mapping
from seqgen.reports import ARROWS, brief_count, figure, share, visible

FORMAT = 2

CHARTS = "compare.pdf"
"""The charts, which are written only on demand."""

DOCUMENT, PAGE, TEXT = FILES = ("compare.json", "compare.html", "compare.md")
"""The document, and the two reports made of it; a folder with the first one is a comparison."""

DIGITS = 9
"""The significant digits of a number; further ones depend on how sums were batched."""

Origin = Literal["prompts", "file", "rows", "valid", "test"]


@dataclass(frozen=True)
class Measure:
    """A column of the results; `about` is a sentence with the formula. Its key in the file is `id`.

    `better` is None where neither way is better by itself; of diversity it is the more diverse way,
    though there can be too much of it. `unit` is that of the values: `share`, `nats`, `bits`,
    `tokens`, `rows`, `points`, or nothing for a bare number.
    """

    id: str
    title: str
    group: Literal["quality", "score", "diversity", "length", "work", "speed", "memory"]
    better: Literal["lower", "higher"] | None
    unit: str
    about: str

    @property
    def shown_unit(self) -> str:
        # What is counted in rows says so in its title.
        return {"share": "%", "bytes": "MB", "rows": ""}.get(self.unit, self.unit)

    @property
    def titled(self) -> str:
        return f"{self.title}, {self.shown_unit}" if self.shown_unit else self.title

    @property
    def header(self) -> str:
        """The title of a column with its unit and which way is better."""
        return visible(self.titled + ARROWS[self.better or ""])

    def written(self, value: float | None) -> str:
        """A value without its unit, as it stands under a title that says the unit."""
        if self.unit == "share":
            return share(value).removesuffix(" %")
        if self.unit == "bytes" and value is not None:
            return figure(value / 1e6)
        if value is not None and 1e-4 <= abs(value) < 0.1:
            return f"{value:#.4g}"  # as many digits as its neighbours in a column
        return brief_count(value) if value is not None and abs(value) >= 1e5 else figure(value)

    def in_words(self, value: float | None) -> str:
        """A value with its unit."""
        text = self.written(value)
        return f"{text} {self.shown_unit}" if value is not None and self.shown_unit else text

    def span(self, ends: tuple[float, float]) -> str:
        between = "\u2013" if ends[0] >= 0 else " to "
        return f"{self.written(ends[0])}{between}{self.written(ends[1])}"


@dataclass(frozen=True, kw_only=True)
class Value:
    """The value of a system by a measure: its interval if there is one, and the values by seed."""

    value: float | None
    low: float | None = None
    high: float | None = None
    by_seed: Sequence[float | None] = ()


Values = Mapping[str, Value]
"""Values by the ids of their measures."""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """How a system differs from another by a measure: `delta` is its value less the other's, `low`
    to `high` the interval of that; `p_holm` is corrected for the number of systems tested."""

    delta: float | None
    low: float | None
    high: float | None
    p_value: float | None
    p_holm: float | None


@dataclass(frozen=True, kw_only=True)
class SystemResult:
    """A run and a strategy, with what was measured of it."""

    label: str
    run: str
    decoder: Mapping[str, Any]
    draws: bool
    seeds: Sequence[int]
    values: Values
    against_baseline: Mapping[str, Difference]


@dataclass(frozen=True, kw_only=True)
class RunInfo:
    """A compared run, with the SHA-256 of its weights and of its data files."""

    name: str
    recipe: str | None
    description: str
    parameters: int
    weights: str
    data: Mapping[str, Any] | None


@dataclass(frozen=True, kw_only=True)
class InputsInfo:
    """What was decoded: `count` inputs out of `of`. `references` says whether every input has one,
    `ends` whether outputs end by themselves, `continues` whether they continue their input."""

    origin: Origin
    count: int
    of: int
    continues: bool
    references: bool
    ends: bool


@dataclass(frozen=True, kw_only=True)
class References:
    """The values of the references themselves."""

    values: Values


@dataclass(frozen=True, kw_only=True)
class EmptyOutput:
    """Its mean probability, and the share of certain inputs for which it is the most probable."""

    mean_probability: float | None = None
    best: float | None = None


@dataclass(frozen=True, kw_only=True)
class SystemSearch:
    """What a system missed on the certain inputs (gaps in nats), and its `quality` there; and how
    many of all its `outputs` are `wrong`, by errors of the search and of the model."""

    label: str
    missed: float | None = None
    mean_gap: float | None = None
    largest_gap: float | None = None
    quality: Mapping[str, float | None]
    outputs: int | None = None
    wrong: int | None = None
    search_errors: int | None = None
    model_errors: int | None = None


@dataclass(frozen=True, kw_only=True)
class RunSearch:
    """The most probable outputs of a run, known for `certain` inputs, and what its systems missed.

    `reference_reachable` counts the inputs with a reference of nonzero probability; the shares are
    of certain inputs. All of this is None where an input has no reference.
    """

    run: str
    certain: int
    empty: EmptyOutput
    reference_reachable: int | None = None
    best_is_reference: float | None = None
    best_beats_reference: float | None = None
    quality_of_best: Mapping[str, float | None] | None = None
    systems: Sequence[SystemSearch]


@dataclass(frozen=True, kw_only=True)
class Search:
    """The exact search of all runs on `inputs` inputs, `certain` for each of the runs."""

    inputs: int
    certain: int
    max_nodes: int
    by_run: Sequence[RunSearch]


@dataclass(frozen=True, kw_only=True)
class CurvePoint:
    """A system whose option is set to `at`."""

    at: int | float
    label: str


@dataclass(frozen=True, kw_only=True)
class Curve:
    """Systems of one run that differ in one numeric `option` alone, sorted by it. `name` is the
    decoder with its other options that are not the defaults."""

    option: str
    name: str
    run: str
    points: Sequence[CurvePoint]


@dataclass(frozen=True, kw_only=True)
class BestOfPoint:
    """The values of the best of `n` draws, chosen by the model and by the references."""

    n: int
    by_score: Mapping[str, float | None]
    oracle: Mapping[str, float | None]


@dataclass(frozen=True, kw_only=True)
class BestOfRun:
    """The points of a run."""

    run: str
    points: Sequence[BestOfPoint]


@dataclass(frozen=True, kw_only=True)
class BestOf:
    """The best of n draws of `decoder` on `inputs` inputs."""

    decoder: Mapping[str, Any]
    inputs: int
    by_run: Sequence[BestOfRun]


@dataclass(frozen=True, kw_only=True)
class DrawnPoint:
    """What tokens at about the same `position` of outputs, from 1, are drawn from, as measures."""

    position: float
    kl_to_model: float
    mass_cut: float
    drawn_entropy: float


@dataclass(frozen=True, kw_only=True)
class DrawnSystem:
    """The points of a system that draws."""

    label: str
    points: Sequence[DrawnPoint]


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The label of the recommended system, if there is one, and why, in sentences."""

    take: str | None
    why: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class ShownOutput:
    """The best output of a system, by its first seed. It is not `complete` where a search ran out
    of its budget, and not `satisfied` where it breaks a constraint. It has a `finish_reason` where
    that is neither the end token nor the maximum length."""

    label: str
    text: str
    log_prob: float | None
    finished: bool
    finish_reason: str = ""
    stop: str = ""
    complete: bool = True
    satisfied: bool = True
    values: Mapping[str, float | None]


@dataclass(frozen=True, kw_only=True)
class ShownInput:
    """An input with its references and what every system made of it."""

    input: str
    references: Sequence[str]
    by: Sequence[ShownOutput]


@dataclass(frozen=True, kw_only=True)
class ShownTrace:
    """How a system found its outputs for an input."""

    input: str
    label: str
    run: str
    trace: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Seconds:
    """The time of decoding once, over the repeats."""

    min: float
    median: float
    max: float


@dataclass(frozen=True, kw_only=True)
class Timing:
    """What a system takes on the timed inputs: `calls` of the model, `rows` it read, and the most
    memory of its tensors. Rates are None where the clock is too coarse."""

    seconds: Seconds
    sequences_per_second: float | None
    tokens_per_second: float | None
    calls: int
    rows: int
    peak_bytes: int


@dataclass(frozen=True, kw_only=True)
class Timings:
    """What systems, by label, take, and what these figures depend on."""

    device: str
    hardware: str
    threads: int
    torch: str
    precision: str
    inputs: int
    batch_size: int
    warm_ups: int
    repeats: int
    systems: Mapping[str, Timing]


@dataclass(frozen=True, kw_only=True)
class Document:
    """All that a comparison found. `systems` are in the order of the plan, `measures` in that of
    columns; `quality` and `diversity` are ids of measures, `baseline` is a label. `plan` is the
    plan as plain data, with every option. All but `timings` is the same on every machine."""

    format: int
    seqgen: str
    description: str
    seed: int
    plan: Mapping[str, Any]
    runs: Sequence[RunInfo]
    inputs: InputsInfo
    measures: Mapping[str, Measure]
    quality: str | None
    diversity: str | None
    baseline: str
    systems: Sequence[SystemResult]
    references: References | None
    search: Search | None
    curves: Sequence[Curve]
    best_of: BestOf | None
    verdict: Verdict
    outputs: Sequence[ShownInput]
    traces: Sequence[ShownTrace]
    timings: Timings | None
    drawn: Sequence[DrawnSystem] = ()

    @property
    def level(self) -> float:
        return float(self.plan["significance"]["level"])

    @property
    def alpha(self) -> float:
        """The p-value below which a difference is called significant."""
        return 1 - self.level

    def system(self, label: str | None) -> SystemResult | None:
        return next((each for each in self.systems if each.label == label), None)


def rounded(value: Any) -> Any:
    """A dataclass or plain data with each float rounded to 9 significant digits, None for NaN and
    the infinities."""
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: rounded(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(rounded, value))
    if is_dataclass(value) and not isinstance(value, type):
        names = [each.name for each in fields(value)]
        return replace(value, **{name: rounded(getattr(value, name)) for name in names})
    return value


def document_text(document: Document) -> str:
    """What compare.json holds, as JSON."""
    found: dict[str, Any] = TypeAdapter(Document).dump_python(document, exclude_defaults=True)
    for measure in found["measures"].values():
        del measure["id"]
    text = json.dumps(found, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    return text.encode("utf-8", errors="backslashreplace").decode("utf-8")


def read_document(folder: Path) -> Document:
    """The document in `folder`.

    Raises CheckpointError if it is missing, damaged, or of another format.
    """
    path = folder / DOCUMENT
    content = read_mapping(path)
    if content.get("format") != FORMAT:
        message = f"its format is {content.get('format')!r}, but this seqgen reads {FORMAT}"
        raise CheckpointError(f"{path}: {message}")
    measures = content.get("measures")
    for key, measure in measures.items() if isinstance(measures, dict) else ():
        if isinstance(measure, dict):
            measure["id"] = key
    try:
        return TypeAdapter(Document).validate_python(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise CheckpointError(f"{path}: damaged at {place}: {first['msg']}") from None
