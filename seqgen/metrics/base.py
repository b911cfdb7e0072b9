"""The contract of a metric: how good answers are, as one number and its details."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seqgen.options import OptionError, shown
from seqgen.registry import Part, Registry, blamed_on, is_ours, plugin_fault

metrics: Registry[Metric] = Registry("metric")

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Answer:
    """A model's output for a source, and all right outputs.

    `score` is its log-probability, `finished` whether it ended with an end token. If the output has
    a token for each token of the source (tags), texts are tokens with a space between.
    """

    source: str
    output: str
    references: tuple[str, ...]
    score: float = 0.0
    finished: bool = True


class Measured(NamedTuple):
    """The `value` of a metric; `details` are plain data that JSON can hold."""

    value: float
    details: Mapping[str, Any] = MappingProxyType({})


class Metric(ABC):
    """A measure of how good answers are. The constructor takes its options.

    `unit` is how a table shows its values: a `share` in percent, anything else as the number that
    it is. The first paragraph of the docstring says there what it measures; code in backticks at
    the beginning of the next one is its formula.
    """

    better: ClassVar[Literal["lower", "higher"]]
    unit: ClassVar[str] = ""

    def measure(self, answers: Sequence[Answer]) -> Measured:
        """What `measure_all` returns.

        Raises ValueError if there is no answer, or one has no reference; PluginError if a metric
        from outside the package raises, or returns no number.
        """
        check_answers(answers)
        if is_ours(self):
            return self.measure_all(answers)
        with blamed_on(self, "measure_all"):
            found = self.measure_all(answers)
        if not isinstance(found, Measured) or not isinstance(found.value, float | int):
            raise plugin_fault(self, "`measure_all` must return Measured(value), a number")
        return found

    @abstractmethod
    def measure_all(self, answers: Sequence[Answer]) -> Measured:
        """Of at least one answer, each with at least one reference: a finite value, which does
        not depend on the order of the answers."""


class MetricOfSums(Metric, ABC):
    """A metric whose value follows from sums over answers: `value` of the sum of `statistics`.

    So answers can be resampled without being measured again, as `confidence_interval` and
    `paired_test` do. They rely on this:

    - `value(weights @ statistics(answers))`, for integer `weights`, is the measure of answers among
      which each occurs as often as its weight. So the value is defined for any sample.
    - Columns may depend on the answers (a class may have its own), but one that adds up to 0 does
      not matter. So the answers of several systems, put together, get columns that all share.
    """

    @abstractmethod
    def statistics(self, answers: Sequence[Answer]) -> Numbers:
        """The statistics of each answer, `[answers, columns]`, which are summed over answers.

        Whole numbers wherever possible: their sums are exact, in any order and on any machine.
        """

    @abstractmethod
    def value(self, totals: Numbers) -> Numbers:
        """The finite value `[...]` of sums `[..., columns]`, each over at least one answer."""

    def details(self, answers: Sequence[Answer], totals: Numbers) -> Mapping[str, Any]:
        """Details of the value of these answers, whose sums are `totals: [columns]`."""
        return {}

    def measure_all(self, answers: Sequence[Answer]) -> Measured:
        totals = self.statistics(answers).sum(axis=0)
        return Measured(float(self.value(totals)), self.details(answers, totals))


class Proportion(MetricOfSums, ABC):
    """`part / whole`, each summed over all answers: a share."""

    better: ClassVar[Literal["lower", "higher"]] = "higher"
    unit = "share"
    names: ClassVar[tuple[str, str]] = ("part", "whole")
    """The names of both sums in the details."""
    empty: ClassVar[float] = 0.0
    """The value where the whole is 0."""

    @abstractmethod
    def count(self, answer: Answer) -> tuple[int, int]:
        """The part and the whole of one answer."""

    def statistics(self, answers: Sequence[Answer]) -> Numbers:
        return np.array([self.count(answer) for answer in answers], dtype=float)

    def value(self, totals: Numbers) -> Numbers:
        return share(totals[..., 0], totals[..., 1], self.empty)

    def details(self, answers: Sequence[Answer], totals: Numbers) -> Mapping[str, Any]:
        return dict(zip(self.names, map(int, totals), strict=True))


MetricFactory = Annotated[Callable[..., Metric], metrics]


def check_answers(answers: Sequence[Answer]) -> None:
    """Raises ValueError if there is no answer, or one has no reference."""
    if not answers:
        raise ValueError("`answers` must have at least 1 answer, but has none")
    for answer in answers:
        if not answer.references:
            source = shown(answer.source)
            raise ValueError(f"the answer to {source} must have at least 1 reference")


def share(part: Numbers, whole: Numbers, empty: float = 0.0) -> Numbers:
    """`part / whole`, both `[...]`; `empty` where the whole is 0."""
    found = np.full(np.shape(whole), empty)
    np.divide(part, whole, out=found, where=whole > 0)
    return found


def by_name(parts: Iterable[Part[Metric]]) -> dict[str, Metric]:
    """The metrics that a recipe lists, built, in that order.

    Raises OptionError if a name comes twice, even with other options: results go by name.
    """
    built: dict[str, Metric] = {}
    for part in parts:
        if part.name in built:
            raise OptionError(part.path, f"duplicate metric '{part.name}'")
        built[part.name] = part()
    return built


def measure(metrics: Mapping[str, Metric], answers: Sequence[Answer]) -> dict[str, Measured]:
    """What each metric measures, by name. Raises what `Metric.measure` raises."""
    return {name: metric.measure(answers) for name, metric in metrics.items()}


@dataclass(frozen=True)
class Tally:
    """Sums over predicted tokens, additive over batches: nats, hits, and the number of tokens."""

    nats: float
    correct: int
    tokens: int

    def __add__(self, other: Tally) -> Tally:
        sums = self.nats + other.nats, self.correct + other.correct, self.tokens + other.tokens
        return Tally(*sums)


def likelihood(tally: Tally, chars: int, size: int) -> dict[str, float]:
    """The figures of a text of `chars` characters and `size` bytes from teacher-forced nats.

    `perplexity = exp(nats / tokens)` depends on the tokenizer; `bits_per_char` and
    `bits_per_byte`, `nats / ln 2` over characters and bytes, can be compared across tokenizers.
    """
    if not tally.tokens or not chars:
        raise ValueError("`tally` must have at least 1 token, but has none")
    per_token = tally.nats / tally.tokens
    return {
        "nats_per_token": per_token,
        "perplexity": math.exp(per_token) if per_token < 700 else math.inf,
        "bits_per_char": tally.nats / math.log(2) / chars,
        "bits_per_byte": tally.nats / math.log(2) / size,
        "accuracy": tally.correct / tally.tokens,
        "tokens": tally.tokens,
    }
