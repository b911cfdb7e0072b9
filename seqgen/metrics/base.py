"""The contract of a metric: how good answers are, as one number and what is behind it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

from seqgen.plain_values import shown
from seqgen.registry import Registry

metrics: Registry[Metric] = Registry("metric")


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
    """A number that says how good answers are. The constructor takes its options."""

    better: ClassVar[Literal["lower", "higher"]]

    def measure(self, answers: Sequence[Answer]) -> Measured:
        """What `measure_all` gives for answers that are fit to be measured.

        Errors: ValueError where there is no answer, or one has no reference.
        """
        if not answers:
            raise ValueError("`answers` must have at least 1 answer, but has none")
        for answer in answers:
            if not answer.references:
                source = shown(answer.source)
                raise ValueError(f"the answer to {source} must have at least 1 reference")
        return self.measure_all(answers)

    @abstractmethod
    def measure_all(self, answers: Sequence[Answer]) -> Measured:
        """Of at least one answer, each with at least one reference: a finite value, which does
        not depend on the order of the answers."""


MetricFactory = Annotated[Callable[..., Metric], metrics]
