"""The contract of a metric: how good answers are, as one number and what is behind it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seqgen.callables import is_ours, place_of
from seqgen.errors import PluginError, SeqgenError
from seqgen.plain_values import shown
from seqgen.registry import Registry

metrics: Registry[Metric] = Registry("metric")

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Answer:
    """What a model made of a source, and all that would have been right.

    `score` is its log-probability, `finished` whether it ended by itself. Where the output has a
    token for each token of the source (tags), all texts have them with a space between.
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
    """A number that says how good answers are. The constructor takes its options.

    `unit` is how a table shows its values: a `share` in percent, anything else as the number that
    it is. The first paragraph of a metric's docstring says there what it measures, and if the next
    one begins with code in backticks, that is its formula.
    """

    better: ClassVar[Literal["lower", "higher"]]
    unit: ClassVar[str] = ""

    def measure(self, answers: Sequence[Answer]) -> Measured:
        """What `measure_all` gives for answers that are fit to be measured.

        Errors: ValueError where there is no answer, or one has no reference; PluginError where a
        metric from outside the package raises, or gives no number.
        """
        check_answers(answers)
        if is_ours(self):
            return self.measure_all(answers)
        return _measured_from_outside(self, answers)

    @abstractmethod
    def measure_all(self, answers: Sequence[Answer]) -> Measured:
        """Of at least one answer, each with at least one reference: a finite value, which does
        not depend on the order of the answers."""


class MetricOfSums(Metric, ABC):
    """A metric whose value follows from sums over answers: `value` of the sum of `statistics`.

    Then answers can be drawn many times over and need no second look, which `confidence_interval`
    and `paired_test` live on. What they rely on:

    - `value(weights @ statistics(answers))`, for whole `weights`, is what `measure` says of answers
      among which each comes as often as its weight. So a value is defined for whatever is drawn.
    - Columns may depend on the answers (a class may have its own), but one that adds up to 0 does
      not matter. So the answers of several systems, put together, get columns that all share.
    """

    @abstractmethod
    def statistics(self, answers: Sequence[Answer]) -> Numbers:
        """What each answer adds to the sums, `[answers, columns]`.

        Whole numbers wherever that can be: their sums are exact, in any order and on any machine.
        """

    @abstractmethod
    def value(self, totals: Numbers) -> Numbers:
        """The finite value `[...]` of sums `[..., columns]`, each over at least one answer."""

    def details(self, answers: Sequence[Answer], totals: Numbers) -> Mapping[str, Any]:
        """What is behind the value of these answers, whose sums are `totals: [columns]`."""
        return {}

    def measure_all(self, answers: Sequence[Answer]) -> Measured:
        """The value of the sums over all answers."""
        totals = self.statistics(answers).sum(axis=0)
        return Measured(float(self.value(totals)), self.details(answers, totals))


def check_answers(answers: Sequence[Answer]) -> None:
    """A ValueError where there is no answer, or one has no reference."""
    if not answers:
        raise ValueError("`answers` must have at least 1 answer, but has none")
    for answer in answers:
        if not answer.references:
            source = shown(answer.source)
            raise ValueError(f"the answer to {source} must have at least 1 reference")


def _measured_from_outside(metric: Metric, answers: Sequence[Answer]) -> Measured:
    """What `measure_all` gives. Errors: PluginError where it raises, or gives no number."""
    name = f"the metric {type(metric).__name__} ({place_of(type(metric))})"
    try:
        found = metric.measure_all(answers)
    except (SeqgenError, MemoryError):
        raise
    except Exception as error:  # someone else's code
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise PluginError(f"{name}: `measure_all` raised {reason}") from error
    value: Any = found.value if isinstance(found, Measured) else None
    if not isinstance(value, float | int):
        raise PluginError(f"{name}: `measure_all` must return Measured(value), a number")
    return found


MetricFactory = Annotated[Callable[..., Metric], metrics]
