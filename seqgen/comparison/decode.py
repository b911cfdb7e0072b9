"""Decoding for a comparison: its runs, its inputs, and what the systems make of them."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property
from itertools import cycle, islice
from typing import Any, NamedTuple, TypeVar

from seqgen.comparison.document import Origin
from seqgen.comparison.plan import Plan, Unit
from seqgen.comparison.systems import System
from seqgen.data import Example
from seqgen.data.text_files import read_text
from seqgen.decoders import Counting, Decoder, Drawing, Hypothesis, watched
from seqgen.errors import DataError, RecipeError
from seqgen.evaluate import DecodingOptions, evenly_spaced
from seqgen.explain import LogProbs, rescored, traces
from seqgen.generate import Generated
from seqgen.machine import double_precision
from seqgen.metrics import Metric
from seqgen.tokenizers import EOS
from seqgen.trained import TrainedRun

T = TypeVar("T")

TRACED_LENGTH = 60
"""The most tokens of a trace: each is shown with its candidates."""


@dataclass(frozen=True)
class Output:
    """An output, or a reference as if it were one, and the model's own `log_probs` of its tokens,
    without constraints, whatever the search added up: -inf for what it cannot generate."""

    generated: Generated
    log_probs: tuple[float, ...]

    @property
    def log_prob(self) -> float:
        """Of the whole output, in nats; 0 where it has no token."""
        return math.fsum(self.log_probs)

    @property
    def length(self) -> int:
        """The number of tokens without the end token."""
        tokens = self.generated.hypothesis.tokens
        return len(tokens) - (tokens[-1:] == (EOS,))

    def units(self, unit: Unit) -> Sequence[str]:
        """The words, characters or tokens of the text, the latter without the end token."""
        if unit == "tokens":
            return self.generated.pieces[: self.length]
        text = self.generated.text
        return text.split() if unit == "words" else text


@dataclass(frozen=True)
class Produced:
    """What a system made of the inputs.

    `outputs[s][i]` are those for input i by `seeds[s]`, the best first, as many as the plan's
    `samples`: where a decoder finds fewer, they are repeated, so that all systems are compared by
    as many outputs. A system that draws nothing has one seed. `rows` is how many rows the model
    read, all seeds and inputs together; `drawn` what each seed drew from.
    """

    system: System
    seeds: Sequence[int]
    outputs: Sequence[Sequence[Sequence[Output]]]
    rows: int
    drawn: Sequence[Drawing] = ()

    @property
    def best(self) -> list[list[Output]]:
        """By seed the best output for each input."""
        return [[own[0] for own in outputs] for outputs in self.outputs]


class Runner:
    """A run that decodes for a comparison, in the precision of the plan.

    Outputs are scored by the model alone, teacher-forced: the score of a search includes its
    constraints. Each different output of an input is scored once.
    """

    def __init__(self, run: TrainedRun, plan: Plan) -> None:
        double = plan.precision == "double"
        self.run = run.in_double_precision() if double else run
        self.plan = plan
        self._precision = double_precision if double else nullcontext
        self._scores: dict[tuple[str, tuple[int, ...]], LogProbs] = {}

    def produce(self, system: System, texts: Sequence[str]) -> Produced:
        """All outputs of a system. Raises DecodeError, and what building its decoder raises."""
        plan, counting = self.plan, Counting()
        seeds = [plan.seed + index for index in range(plan.seeds if system.draws else 1)]
        outputs, watching = [], []
        for seed in seeds:
            decoder = self.run.decoder(dict(system.spec), seed)
            watching.append(Drawing(decoder))
            decoder = watched(watched(decoder, counting), watching[-1])
            drawn = self.draws(decoder, texts, plan.samples if system.draws else 1)
            outputs.append([list(islice(cycle(own), plan.samples)) for own in drawn])
        return Produced(system, seeds, outputs, counting.rows, watching)

    def draws(self, decoder: Decoder, texts: Sequence[str], samples: int) -> list[list[Output]]:
        """For each text what a decoder finds in `samples` draws, in their order."""
        with self._precision():
            found = self.run.continuations(texts, decoder, self.plan.max_length, samples)
        return self._scored(found)

    def references(self, examples: Sequence[Example]) -> list[list[Output]]:
        """The references of each example as outputs, with the end token if outputs have one."""
        built = self.run.built
        end = (EOS,) if built.data.ends else ()

        def generated(source: str, text: str) -> Generated:
            tokens = (*built.data.output_tokens(text, built.tokenizers), *end)
            pieces = tuple(map(built.tokenizer.shown, tokens))
            return Generated(source, text, Hypothesis(tokens, math.nan, True), pieces)

        own = [[generated(each.source, text) for text in each.references] for each in examples]
        return self._scored(own)

    def ends_at_once(self, texts: Sequence[str]) -> list[float]:
        """The log-probability of the empty output for each text."""
        empty = Hypothesis((EOS,), math.nan, True)
        [outputs] = self._scored([[Generated(text, "", empty, ()) for text in texts]])
        return [sum(each.log_probs) for each in outputs]

    def traces(
        self, system: System, texts: Sequence[str], ids: Sequence[int]
    ) -> list[dict[str, Any]]:
        """How the outputs for texts are found, by the system's first seed; `ids` are the indices of
        the texts among all inputs. Of long outputs it is the beginning."""
        decoder = self.run.decoder(dict(system.spec), self.plan.seed)
        longest = min(longest_output(self.run, self.plan), TRACED_LENGTH)
        wanted = DecodingOptions(self.run.built.recipe.evaluation.batch_size, longest)
        with self._precision():
            generator = self.run.built.generator()
            found = traces(generator, decoder, system.spec, texts, wanted, ids)
        return [each.trace for each in found]

    def _scored(self, found: Sequence[Sequence[Generated]]) -> list[list[Output]]:
        """All of them with the log-probabilities of their tokens."""
        pairs = [(each.prompt, each.hypothesis.tokens) for own in found for each in own]
        new = [pair for pair in dict.fromkeys(pairs) if pair not in self._scores]
        texts, tokens = [text for text, _ in new], [tokens for _, tokens in new]
        with self._precision():
            size = self.run.built.recipe.evaluation.batch_size
            scored = rescored(self.run.built.generator(), texts, tokens, size)
        self._scores.update(zip(new, scored, strict=True))
        scores = map(self._scores.__getitem__, pairs)
        return [[Output(each, next(scores)) for each in own] for own in found]


class Inputs(NamedTuple):
    """The `examples` that were chosen, where they come from, and `of` how many."""

    examples: Sequence[Example]
    origin: Origin
    of: int

    @property
    def texts(self) -> list[str]:
        return [each.source for each in self.examples]

    @property
    def referenced(self) -> bool:
        return all(each.references for each in self.examples)


def choose_inputs(runs: Sequence[TrainedRun], plan: Plan) -> Inputs:
    """The inputs of the plan, read by the first of the runs from its data. A warning where they may
    be what a run was trained on.

    Raises DataError, and RecipeError if a run cannot read a prompt.
    """
    first, folder = runs[0], runs[0].directory.folder
    origin, every = _every_input(first, plan)
    chosen = evenly_spaced(every, plan.inputs.most)
    if not chosen:
        raise DataError(f"{folder}: there are no inputs to compare by")
    for run in runs:
        for number, example in enumerate(chosen, start=1):
            try:
                run.built.data.prompts([example.source], run.built.tokenizers)
            except ValueError as error:
                raise RecipeError(f"{run.directory.folder}: input {number}: {error}") from None
    if origin in ("valid", "test"):
        if not first.data_is_the_same():
            what = "the data is not what this run was trained on"
            warnings.warn(f"{folder}: {what}", stacklevel=2)
        for run in runs[1:]:
            if run.directory.record().get("data") != first.directory.record().get("data"):
                what = "was trained on other data, of which the inputs may be a part"
                warnings.warn(f"{run.directory.folder}: {what}", stacklevel=2)
    return Inputs(chosen, origin, len(every))


def _every_input(run: TrainedRun, plan: Plan) -> tuple[Origin, Sequence[Example]]:
    options, data, tokenizers = plan.inputs, run.built.data, run.built.tokenizers
    if options.prompts is not None:
        return "prompts", [Example(text, ()) for text in options.prompts]
    if options.file is not None:
        lines = read_text(options.file).text.split("\n")
        return "file", [Example(line, ()) for line in (lines[:-1] if not lines[-1] else lines)]
    if options.rows is not None:
        if data.continues:
            raise RecipeError("inputs.rows: text to be continued has none; `inputs.file` may do")
        file, name = read_text(options.rows), str(options.rows)
        try:
            return "rows", data.parse_rows(file, name, tokenizers).examples
        except ValueError as error:
            raise RecipeError(f"inputs.rows: {error}") from None
    split, length = data.held_out(options.split, tokenizers), longest_output(run, plan)
    if split is None:
        raise DataError(f"{run.directory.folder}: the data has no split '{options.split}'")
    if split.examples:
        return options.split, split.examples
    passages = data.passages(options.split, tokenizers, options.prompt_size, length)
    if not passages:
        raise DataError(
            f"{run.directory.folder}: the {options.split} part is too short for one passage: "
            f"{split.tokens} tokens, of which a prompt and {length} more are needed; "
            "plan.max_length and plan.inputs.prompt_size make passages shorter"
        )
    return options.split, passages


def longest_output(run: TrainedRun, plan: Plan) -> int:
    """The most tokens of an output, and so of the reference of a passage."""
    return run.built.recipe.generation.max_length if plan.max_length is None else plan.max_length


class Progress(NamedTuple):
    """How far a part of the work is: `done` of `total`, and what is being done."""

    done: int
    total: int
    text: str


@dataclass(frozen=True)
class Comparison:
    """What is compared by which plan. `names` are those of the `runs`, and a system's `run` is an
    index of both; `watch` is called with the progress of all work that takes time."""

    runs: Sequence[TrainedRun]
    names: Sequence[str]
    systems: Sequence[System]
    plan: Plan
    watch: Callable[[Progress], None]

    @cached_property
    def inputs(self) -> Inputs:
        """What all systems decode. Raises what `choose_inputs` raises."""
        return choose_inputs(self.runs, self.plan)

    @cached_property
    def unit(self) -> Unit:
        """What diversity counts: what the plan says, else what the references are made of."""
        if self.plan.unit is not None:
            return self.plan.unit
        references = [each.references[0] for each in self.inputs.examples if each.references]
        several = sum(len(text.split()) > 1 for text in references)
        return "characters" if 2 * several < len(references) else "words"

    @cached_property
    def runners(self) -> list[Runner]:
        return [Runner(run, self.plan) for run in self.runs]

    @cached_property
    def metrics(self) -> Mapping[str, Metric]:
        return self.runs[0].built.judge().metrics

    def each(self, things: Sequence[T], text: Callable[[T], str]) -> Iterator[T]:
        """The `things` one by one, each announced by its `text`."""
        for done, thing in enumerate(things):
            self.watch(Progress(done, len(things), text(thing)))
            yield thing

    def each_run(self, work: str) -> Iterator[tuple[str, Runner]]:
        """The runs by name, each announced as the `work` of it."""
        runs = list(zip(self.names, self.runners, strict=True))
        return self.each(runs, lambda run: f"{work} of {run[0]}")
