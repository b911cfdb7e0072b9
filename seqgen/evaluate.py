"""Evaluation: the likelihood of a held-out split, and its outputs, judged by metrics."""

from __future__ import annotations

import math
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor

from seqgen.data import Example, Split, TokenBatch, padded, shift_right
from seqgen.decoders import Decoder, DecoderFactory, Greedy
from seqgen.generate import Generated, Generator
from seqgen.metrics import Answer, Metric, Tally, likelihood, measure
from seqgen.models import Model, evaluating
from seqgen.options import Count, Size, did_you_mean
from seqgen.state import State
from seqgen.tokenizers import SPECIALS, UNK


@dataclass(frozen=True)
class EvaluationOptions:
    """How a model is evaluated, the recipe's section `evaluation`.

    `criterion` names the figure or metric that decides about the best checkpoint, schedules and
    patience. Metrics need outputs: at each validation for up to `validation_examples` sources,
    evenly spaced, by `validation_decoder`; at the end for all sources, by the recipe's decoder.
    `batch_size` affects memory and speed only.
    """

    criterion: str = "nats_per_token"
    validation_examples: Count = 500
    validation_decoder: DecoderFactory = Greedy
    batch_size: Size = 64


class RowScore(NamedTuple):
    """The log-probability of a row's targets, teacher-forced: their sum, that of each, and how many
    of them are UNK."""

    score: float
    log_probs: tuple[float, ...]
    unknown: int


def evaluate(
    model: Model, split: Split[TokenBatch], device: torch.device, batch_size: int = 32
) -> dict[str, float]:
    """The figures of `likelihood` for `split`, without dropout, in float32.

    `batch_size` affects memory and speed, not the figures.
    """

    def visit(batch: TokenBatch, state: State) -> tuple[Tally, State]:
        score = model.score(batch.to(device), state)
        tally = Tally(float(score.nats.double().sum()), int(score.correct.sum()), batch.tokens)
        return tally, score.state

    with evaluating(model):
        tallies = split.walk(visit, model.initial_state, batch_size)
    total = sum(tallies, Tally(0.0, 0, 0))
    figures = likelihood(total, split.size.chars, split.size.bytes)
    share = split.unknown / split.tokens
    return {**figures, "unknown": split.unknown, "unknown_share": share}


def score_rows(
    model: Model, split: Split[Any], device: torch.device, batch_size: int = 32
) -> list[RowScore]:
    """How probable the targets of each row of `split` are, in order; the split must have rows.

    `batch_size` affects memory and speed only.
    """

    def visit(batch: Any, state: State) -> tuple[list[tuple[int, RowScore]], State]:
        score = model.score(batch.to(device), state)
        columns = batch.row_ids, batch.lengths, batch.targets, -score.nats
        rows = zip(*(column.tolist() for column in columns), strict=True)
        return [
            (number, RowScore(math.fsum(own[:n]), tuple(own[:n]), targets[:n].count(UNK)))
            for number, n, targets, own in rows
        ], score.state

    with evaluating(model):
        found = split.walk(visit, model.initial_state, batch_size)
    return [score for _, score in sorted(chain.from_iterable(found))]


def score_texts(
    model: Model, texts: Sequence[Tensor], device: torch.device, batch_size: int = 32
) -> list[RowScore]:
    """How probable each text of a model of running text is, from its first token on: tokens
    `[time]`. `batch_size` affects memory and speed only."""
    found = [RowScore(0.0, (), 0)] * len(texts)
    some = [place for place, each in enumerate(texts) if len(each)]
    with evaluating(model):
        for batch in batches_by_length([len(texts[place]) for place in some], batch_size):
            places = [some[index] for index in batch]
            rows = [texts[place] for place in places]
            read = TokenBatch(shift_right(rows), *padded(rows)).to(device)
            nats = model.score(read).nats
            for place, row, scores in zip(places, rows, (-nats).tolist(), strict=True):
                own = tuple(scores[: len(row)])
                found[place] = RowScore(math.fsum(own), own, int((row == UNK).sum()))
    return found


T = TypeVar("T")

FIGURES = {
    "nats_per_token": "lower",
    "perplexity": "lower",
    "bits_per_char": "lower",
    "bits_per_byte": "lower",
    "accuracy": "higher",
}
"""The figures of every split by which checkpoints can be chosen, and which way is better."""


@dataclass(frozen=True)
class Judge:
    """What a split is judged by: teacher-forced likelihood always, and `metrics` of the outputs."""

    generator: Generator
    metrics: Mapping[str, Metric]
    batch_size: int = 64

    def figures(
        self, split: Split[Any], decoder: Decoder, most: int | None = None
    ) -> tuple[dict[str, Any], list[Answer]]:
        """The figures of `split`, those of the metrics under `metrics`, how they came about under
        `details`; and the answers, by `decoder`, to all sources or to `most` of them."""
        figures: dict[str, Any] = dict(evaluate(self.generator.model, split, self.generator.device))
        examples = evenly_spaced(split.examples, most) if self.metrics else []
        if not examples:
            return figures, []
        answers = answer(self.generator, decoder, examples, self.batch_size)
        measured = measure(self.metrics, answers)
        figures |= {
            "examples": len(answers),
            "metrics": {name: each.value for name, each in measured.items()},
            "details": {name: dict(each.details) for name, each in measured.items()},
        }
        return figures, answers

    def criterion(self, name: str, figures: Mapping[str, Any]) -> float:
        """The figure or metric `name` as a number of which less is better."""
        value = float({**figures, **figures.get("metrics", {})}[name])
        better = self.metrics[name].better if name in self.metrics else FIGURES[name]
        return value if better == "lower" else -value

    def check_criterion(self, name: str, split: Split[Any] | None, most: int) -> None:
        """Raises ValueError unless validations on `most` examples of `split` will have it."""
        if name not in self.metrics and name not in FIGURES:
            known = [*self.metrics, *FIGURES]
            near = did_you_mean(name, known)
            raise ValueError(f"must be one of {', '.join(known)}, but is '{name}'{near}")
        if name in self.metrics and split is not None and not evenly_spaced(split.examples, most):
            reason = "`validation_examples` is 0" if split.examples else "there are no sources"
            raise ValueError(f"'{name}' needs outputs to measure, but {reason}")


CHARACTERS_AT_ONCE = 1 << 18
"""How many characters of texts, padding included, share a batch."""


class DecodingOptions(NamedTuple):
    """How many texts at once, how long an output may be (None: as the recipe says), and how many
    times what the decoder finds."""

    batch_size: int
    max_length: int | None = None
    samples: int = 1


def answer(
    generator: Generator, decoder: Decoder, examples: Sequence[Example], batch_size: int
) -> list[Answer]:
    """The best output for each example, in their order; a warning with the number of those that do
    not satisfy the decoder's constraints."""
    texts = [each.source for each in examples]
    found = outputs(generator, decoder, texts, DecodingOptions(batch_size))
    unsatisfied = sum(not best.hypothesis.satisfied for best, *_ in found)
    if remark := unsatisfied_remark(unsatisfied, len(found)):
        warnings.warn(remark, stacklevel=2)
    return [
        Answer(
            example.source,
            best.text,
            example.references,
            best.hypothesis.score,
            best.hypothesis.finished,
        )
        for example, [best, *_] in zip(examples, found, strict=True)
    ]


def unsatisfied_remark(unsatisfied: int, every: int) -> str:
    """That constraints do not hold; nothing where all do."""
    if not unsatisfied:
        return ""
    do, they = ("does", "it ends") if unsatisfied == 1 else ("do", "they end")
    what = f"{do} not satisfy all constraints; {they} where no token was possible"
    return f"{unsatisfied} of {every} texts {what}"


def outputs(
    generator: Generator,
    decoder: Decoder,
    texts: Sequence[str],
    options: DecodingOptions,
    sequence_ids: Sequence[int] | None = None,
) -> list[list[Generated]]:
    """What `decoder` finds for each text, in their order; texts of similar length share a batch.

    Random decoders draw for each text by its id, its place where none are given.
    """
    found: list[list[Generated]] = [[]] * len(texts)
    ids = range(len(texts)) if sequence_ids is None else sequence_ids
    for places in batches_by_length([len(text) for text in texts], options.batch_size):
        some, own = [texts[place] for place in places], [ids[place] for place in places]
        made = generator.generate(some, decoder, options.max_length, options.samples, own)
        for place, each in zip(places, made, strict=True):
            found[place] = each
    return found


def batches_by_length(lengths: Sequence[int], batch_size: int) -> Iterator[list[int]]:
    """The places of all texts by their lengths, up to `batch_size` at once; of long ones fewer, for
    each is padded to the longest of its batch."""
    batch: list[int] = []
    for place in sorted(range(len(lengths)), key=lengths.__getitem__):
        rows = len(batch) + 1
        if batch and (rows > batch_size or rows * lengths[place] > CHARACTERS_AT_ONCE):
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch


def evenly_spaced(things: Sequence[T], most: int | None) -> Sequence[T]:
    """Up to `most` of them, evenly spaced: of 10, 4 are those at 0, 2, 5 and 7."""
    if most is None or len(things) <= most:
        return things
    return [things[len(things) * place // most] for place in range(most)]


SHOWN = 8
"""How many different unknown tokens a warning shows."""


def unknown_remark(unknown: Counter[str], what: str) -> str:
    """`3 tokens of the sources are unknown to the model (2 different: x, y)`; empty if none is."""
    count = unknown.total()
    if not count:
        return ""
    said = f"{count} token{'s' if count > 1 else ''} of the {what} {'are' if count > 1 else 'is'}"
    different = [each for each, _ in unknown.most_common() if each != SPECIALS[UNK]]
    some = ", ".join(map(repr, different[:SHOWN])) + (", ..." if len(different) > SHOWN else "")
    which = f" ({len(different)} different: {some})" if different else ""
    return f"{said} unknown to the model{which}"


def cut_short_remark(cut_short: int, every: int) -> str:
    """That a search gave up; empty if none did."""
    if not cut_short:
        return ""
    return f"the search's budget ran out: {cut_short} of {every} texts are the best found so far"
