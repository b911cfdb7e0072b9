"""Measures: what a comparison says of the outputs of a system, besides the metrics of the run.

To add one: describe it in `measures.yaml`, and return its value from the function that it belongs
to. Table, plots and verdict know measures by their descriptions alone.
"""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib.resources import files
from itertools import zip_longest
from statistics import fmean
from typing import Any, Final

import torch

from seqgen.build import Built
from seqgen.comparison.decode import Output, Produced
from seqgen.comparison.document import DrawnPoint, Measure, Value, Values
from seqgen.comparison.plan import Unit
from seqgen.metrics import Metric, TrainingText, distinct, diversity, looping
from seqgen.reports import metric_label
from seqgen.tokenizers import Tokenizer
from seqgen.yaml_io import load_document

Outputs = Sequence[Sequence[Output]]
"""For each input its outputs, by one seed."""

SILENT: Final[Mapping[str, float]] = {"impossible": 0.0}
"""The values that say nothing: a column with nothing else is left out."""

COMPARED = ("log_prob_per_token", "distinct_1", "distinct_2", "distinct_3")
"""What unlikeness looks at; each has one sign only, so there is a ratio."""

MOST_POSITIONS = 12
"""How many places in outputs are told apart."""

FURTHEST = math.log(100)
"""A statistic that is further away than a hundred times as much, or that is 0, counts as that."""


_DESCRIBED: Final[Any] = load_document(
    files("seqgen.comparison").joinpath("measures.yaml").read_bytes(), "measures.yaml"
).data
_ALL: Final = [
    Measure(id=name.format(n=n), **{key: text and text.format(n=n) for key, text in about.items()})
    for name, about in _DESCRIBED.items()
    for n in (range(1, 5) if "{n}" in name else (0,))
]
TIMED: Final = [each for each in _ALL if each.group in ("speed", "memory")]
"""What the timings of a document say of each system."""
MEASURES: Final = [each for each in _ALL if each not in TIMED]
"""All others, in the order of columns."""


def columns(
    measures: Iterable[Measure], systems: Sequence[Values], wanted: str | None = None
) -> dict[str, Measure]:
    """Those of `measures` that some of the systems has among its values, in the order given; of
    those with nothing but silent values, only what is `wanted`."""
    found = {}
    for each in measures:
        values = {own[each.id].value for own in systems if each.id in own}
        if values and (each.id == wanted or values != {SILENT.get(each.id)}):
            found[each.id] = each
    return found


def by_seed(
    produced: Produced, measured: Callable[[Outputs], Mapping[str, float]]
) -> dict[str, Value]:
    """What `measured` says of all outputs of each seed, and as the value the mean over seeds."""
    found = [measured(outputs) for outputs in produced.outputs]
    names = dict.fromkeys(name for each in found for name in each)
    return {name: averaged([each.get(name, math.nan) for each in found]) for name in names}


def averaged(values: Sequence[float]) -> Value:
    """The values of seeds and their mean. NaN is a value that is not defined and does not count."""
    defined = [each for each in values if not math.isnan(each)]
    return Value(value=fmean(defined) if defined else math.nan, by_seed=list(values))


def scores(outputs: Sequence[Output]) -> dict[str, float]:
    """The log-probabilities of all `outputs` by the model itself, in nats.

    One token of -inf would make every mean -inf. So outputs with such a token are counted apart, as
    the share `impossible`, and the means are over the others. A mean over nothing is left out.
    """
    possible = [each for each in outputs if each.log_prob > -math.inf]
    tokens = [each for output in possible for each in output.log_probs]
    found: dict[str, float] = {}
    if tokens:
        found["log_prob_per_token"] = math.fsum(tokens) / len(tokens)
    if possible:
        found["log_prob_per_sequence"] = fmean(each.log_prob for each in possible)
    if outputs:
        found["impossible"] = 1 - len(possible) / len(outputs)
    return found


DRAWN: Final = ("kl_to_model", "mass_cut", "drawn_entropy")
"""What `Drawing.sums` holds after the count, as measures."""


def drawn(produced: Produced) -> dict[str, Value]:
    """What a system draws from, against what the model gives: means over all tokens."""
    totals = [torch.stack(each.sums).sum(0).tolist() for each in produced.drawn if each.sums]
    return {
        name: averaged([own[place] / own[0] for own in totals])
        for place, name in enumerate(DRAWN if totals else (), start=1)
    }


def drawn_by_position(produced: Produced) -> list[DrawnPoint]:
    """The same for tokens that stand at about the same place in outputs, over all seeds."""
    steps = list(zip_longest(*(each.sums for each in produced.drawn), fillvalue=torch.zeros(4)))
    width = -(-len(steps) // MOST_POSITIONS)
    found = []
    for begin in range(0, len(steps), max(1, width)):
        end = min(begin + width, len(steps))
        every = torch.stack([each for step in steps[begin:end] for each in step])
        tokens, *own = every.sum(0).tolist()
        means = dict(zip(DRAWN, (each / tokens for each in own), strict=True))
        found.append(DrawnPoint(position=(begin + 1 + end) / 2, **means))
    return found


def lengths(outputs: Outputs, reference_lengths: Sequence[int], ends: bool) -> dict[str, float]:
    """How long the outputs for all inputs are.

    `reference_lengths: [inputs]` has the tokens of the first reference of each input without the
    end token, or nothing; a ratio to nothing is left out. `ends` says whether outputs end by
    themselves; only then there is a share that is `finished`.
    """
    every = [each for own in outputs for each in own]
    if not every:
        return {}
    found = {"mean_length": fmean(each.length for each in every)}
    pairs = zip(reference_lengths, outputs, strict=True) if reference_lengths else ()
    if wanted := sum(size * len(own) for size, own in pairs):
        found["length_ratio"] = sum(each.length for each in every) / wanted
    if ends:
        found["finished"] = fmean(each.generated.hypothesis.finished for each in every)
    return found


def variety(
    outputs: Sequence[Output], unit: Unit, training: TrainingText | None = None
) -> dict[str, float]:
    """All that `seqgen.metrics.diversity` says of all outputs together, and with `training` what
    they copy.

    `unit` is what n-grams are made of: words (separated by spaces), characters, or the tokens of
    the model as display text, without the end token.
    """
    found = diversity([each.units(unit) for each in outputs], training)
    # A last word that was cut off would hide the loop that it is part of.
    uncut = [
        each.units(unit)[: None if unit != "words" or each.generated.hypothesis.finished else -1]
        for each in outputs
    ]
    loops = looping(uncut)
    return found if loops is None else {**found, "looping": loops}


def training_text(texts: Iterable[str], unit: Unit, tokenizer: Tokenizer) -> TrainingText:
    """The training texts of what is generated, split as outputs are; to be made once."""
    if unit == "words":
        return TrainingText(map(str.split, texts))
    if unit == "characters":
        return TrainingText(texts)
    return TrainingText(
        [tokenizer.shown(token) for token in tokenizer.encode(text).tolist()] for text in texts
    )


def unlikeness(outputs: Outputs, references: Values, unit: Unit) -> dict[str, float]:
    """The unlikeness of `outputs` to text of which `references` has the values, as `{"unlikeness":
    ...}`; nothing where a statistic is not defined for either.

    For models of running text, where no reference is the right answer. Holtzman et al. (2020) ask
    of generated text that its statistics be those of human text: a maximum is too probable and
    repeats itself, pure sampling from a model's tail is not probable enough. So it is measured on
    both sides, how probable the model finds a token (their perplexity), and how much of what is
    said is different. They look at self-BLEU and repetition as well; those have columns of their
    own, for they can be 0, where no ratio is defined. A mean of 0.1 is about 10 % too much
    or too little.

    Distinct n-grams depend on how much text there is. So where an input has several outputs, the
    first ones of all inputs are compared, then the second ones, and the mean of that is given.
    """
    wanted = [references[name].value for name in COMPARED if name in references]
    distances = []
    for sample in range(min((len(own) for own in outputs), default=0)):
        drawn = [own[sample] for own in outputs]
        units = [output.units(unit) for output in drawn]
        probable = scores(drawn).get("log_prob_per_token")
        values = [probable, *(distinct(units, n) for n in (1, 2, 3))]
        for value, other in zip(values, wanted, strict=False):
            if value is None or other is None:
                return {}
            ratio = value / other if other else math.nan
            distances.append(min(abs(math.log(ratio)), FURTHEST) if ratio > 0 else FURTHEST)
    return {"unlikeness": fmean(distances)} if len(wanted) == len(COMPARED) and distances else {}


def all_measures(metrics: Mapping[str, Metric]) -> list[Measure]:
    """All measures in the order of columns, the `metrics` first. These are explained by the first
    paragraph of their docstrings and the formula that the second begins with."""
    found = []
    for name, metric in metrics.items():
        paragraphs = inspect.cleandoc(type(metric).__doc__ or "").split("\n\n")
        about, *rest = [" ".join(each.split()) for each in paragraphs]
        formula = re.match("`([^`]+)`", rest[0]) if rest else None
        about = f"{about} Formula: {formula[1]}." if formula else about
        title = metric_label(name)
        found.append(Measure(name, title, "quality", metric.better, metric.unit, about))
    return [*found, *MEASURES]


@dataclass
class Measurer:
    """Measures what the systems of a run produced, against its training text if `copies` are looked
    for, and against the first reference of each input, in its own tokens and by its own model;
    `references` is empty where there are none. `unit` is what diversity counts.

    It reads the training text at once. Raises DataError if that cannot be done.
    """

    built: Built
    unit: Unit
    copies: bool
    references: Sequence[Output]
    training: TrainingText | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        if self.copies:
            texts = self.built.data.training_texts()[self.built.data.output_field]
            self.training = training_text(texts, self.unit, self.built.tokenizer)

    def measure(self, produced: Produced) -> dict[str, Value]:
        """All values of a system but those of the metrics."""
        rows = produced.rows / sum(map(len, produced.outputs))
        found = by_seed(produced, self._measured) | {"rows_per_input": Value(value=rows)}
        found |= drawn(produced)
        if not self.built.data.continues:  # then one answer is right
            return found
        wanted = self.of_references
        return found | by_seed(produced, lambda each: unlikeness(each, wanted, self.unit))

    @cached_property
    def of_references(self) -> Values:
        """The same measures of the references themselves; empty where there are none."""
        found = self._measured([[each] for each in self.references]) if self.references else {}
        return {name: Value(value=value) for name, value in found.items()}

    def _measured(self, outputs: Outputs) -> Mapping[str, float]:
        every = [each for own in outputs for each in own]
        return {
            **scores(every),
            **variety(every, self.unit, self.training),
            **lengths(outputs, [each.length for each in self.references], self.built.data.ends),
        }
