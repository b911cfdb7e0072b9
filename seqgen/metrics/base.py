"""The contract of a metric: how good answers are, as one number and what is behind it."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seqgen.errors import PluginError, SeqgenError
from seqgen.options import OptionError, shown
from seqgen.registry import Part, Registry, is_ours, place_of

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


# Several metrics at once: those that a recipe lists, by name, and what they say of answers.


def by_name(parts: Iterable[Part[Metric]]) -> dict[str, Metric]:
    """The metrics that a recipe lists, built, in that order.

    Errors: OptionError where a name comes twice, be it with other options: results go by name.
    """
    built: dict[str, Metric] = {}
    for part in parts:
        if part.name in built:
            message = f"'{part.name}' is there already; results go by name, so each can come once"
            raise OptionError(part.path, message)
        built[part.name] = part()
    return built


def measure(metrics: Mapping[str, Metric], answers: Sequence[Answer]) -> dict[str, Measured]:
    """What each of `metrics` says of the answers, by name.

    Errors: ValueError where there is no answer, or one has no reference.
    """
    return {name: metric.measure(answers) for name, metric in metrics.items()}


# Shares: what a sum is of another one, which may be nothing.


LabelPart = tuple[str, int, int]
"""A label, and what is added to its part and to its whole."""


def share(part: Numbers, whole: Numbers, empty: float = 0.0) -> Numbers:
    """`part / whole`, both `[...]`; `empty` where the whole is nothing."""
    found = np.full(np.shape(whole), empty)
    np.divide(part, whole, out=found, where=whole > 0)
    return found


def mean_share(totals: Numbers) -> Numbers:
    """The mean `[...]` over labels of each one's share, in `[..., 2 * labels]`: the parts of all
    labels, then their wholes.

    A label whose whole is nothing is left out of the mean; where that is so for all, it is 1.
    """
    parts, wholes = np.split(totals, 2, axis=-1)
    labels = np.asarray(np.sum(wholes > 0, axis=-1), dtype=np.float64)
    return share(share(parts, wholes).sum(axis=-1), labels, empty=1.0)


def by_label(answers: Iterable[Iterable[LabelPart]]) -> Numbers:
    """What each answer adds, `[answers, 2 * labels]` as `mean_share` takes it, sorted by label.

    It is for labels that are few beside the answers, since most of it is zeros.
    """
    rows = [list(parts) for parts in answers]
    labels = sorted({label for row in rows for label, _, _ in row})
    places = {label: place for place, label in enumerate(labels)}
    sums = np.zeros((len(rows), 2, len(labels)))
    for row, parts in zip(sums, rows, strict=True):
        for label, part, whole in parts:
            row[0, places[label]] += part
            row[1, places[label]] += whole
    return sums.reshape(len(rows), 2 * len(labels))


# What teacher-forced nats say: perplexity, bits per character and per byte, accuracy.


@dataclass(frozen=True)
class Tally:
    """Sums over predicted tokens, which add up over batches: nats, hits, and how many tokens."""

    nats: float
    correct: int
    tokens: int

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.nats + other.nats, self.correct + other.correct, self.tokens + other.tokens
        )


def likelihood(tally: Tally, chars: int, size: int) -> dict[str, float]:
    """The figures of a text of `chars` characters and `size` bytes.

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
