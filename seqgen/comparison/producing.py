"""Producing: what the systems make of the inputs, and how probable it is to their models."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import cycle, islice
from typing import Any

from seqgen.answers import Wanted
from seqgen.comparison.inputs import longest_output
from seqgen.comparison.plan import Plan
from seqgen.comparison.produced import Output, Produced, Reference
from seqgen.comparison.systems import System
from seqgen.data import Example
from seqgen.decoders import Decoder, Exact, watched
from seqgen.decoders.tracing import Counting
from seqgen.explain import LogProbs, rescored, traces
from seqgen.machine import double_precision
from seqgen.tokenizers import EOS
from seqgen.trained import TrainedRun

TRACED_LENGTH = 60
"""How many tokens a trace has at most: each has its candidates beside it."""


class Workshop:
    """A run that decodes for a comparison, in the precision that the plan says.

    Outputs are scored by the model alone, teacher-forced: what a search adds up has its constraints
    in it. Each different output of an input is scored once.
    """

    def __init__(self, run: TrainedRun, plan: Plan) -> None:
        self.double = plan.precision == "double"
        self.run = run.in_double_precision() if self.double else run
        self.plan = plan
        self.batch_size = run.built.recipe.evaluation.batch_size
        self._scores: dict[tuple[str, tuple[int, ...]], LogProbs] = {}

    def produce(self, system: System, texts: Sequence[str]) -> Produced:
        """All outputs of a system. Errors: DecodeError, and those of building its decoder."""
        seeds = [self.plan.seed + place for place in range(self.plan.seeds if system.draws else 1)]
        counting = Counting()
        outputs = []
        for seed in seeds:
            decoder = watched(self.run.decoder(dict(system.spec), seed), counting)
            drawn = self.draws(decoder, texts, self.plan.samples if system.draws else 1)
            outputs.append([list(islice(cycle(own), self.plan.samples)) for own in drawn])
        return Produced(system, seeds, outputs, counting.rows)

    def draws(self, decoder: Decoder, texts: Sequence[str], samples: int) -> list[list[Output]]:
        """For each text what a decoder finds in `samples` goes, the first ones first."""
        with self._precision():
            found = self.run.continuations(texts, decoder, self.plan.max_length, samples)
        pairs = [(each.prompt, each.hypothesis.tokens) for own in found for each in own]
        self._score(pairs)
        return [
            [Output(each, self._scores[each.prompt, each.hypothesis.tokens]) for each in own]
            for own in found
        ]

    def references(self, examples: Sequence[Example]) -> list[list[Reference]]:
        """The references of each example, and how probable they are to the model."""
        tokens = [[self._tokens(text) for text in each.references] for each in examples]
        self._score(
            [(e.source, one) for e, own in zip(examples, tokens, strict=True) for one in own]
        )
        return [
            [
                Reference(text, one, self._scores[each.source, one])
                for text, one in zip(each.references, own, strict=True)
            ]
            for each, own in zip(examples, tokens, strict=True)
        ]

    def ends_at_once(self, texts: Sequence[str]) -> list[float]:
        """The log-probability of the empty output for each text."""
        self._score([(text, (EOS,)) for text in texts])
        return [sum(self._scores[text, (EOS,)]) for text in texts]

    def exact(self, texts: Sequence[str], max_nodes: int) -> list[Output]:
        """The most probable output for each text, where its hypothesis is `complete`."""
        return [own[0] for own in self.draws(Exact(max_nodes=max_nodes), texts, 1)]

    def traces(
        self, system: System, texts: Sequence[str], numbers: Sequence[int]
    ) -> list[dict[str, Any]]:
        """How the outputs for texts are found, by the system's first seed; the texts are those of
        the inputs with these numbers. Of long outputs it is the beginning."""
        decoder = self.run.decoder(dict(system.spec), self.plan.seed)
        most = min(longest_output(self.run, self.plan), TRACED_LENGTH)
        wanted = Wanted(self.batch_size, most)
        with self._precision():
            generator = self.run.built.generator()
            found = traces(generator, decoder, system.spec, texts, wanted, numbers)
        return [each.trace for each in found]

    def _precision(self) -> AbstractContextManager[None]:
        return double_precision() if self.double else nullcontext()

    def _tokens(self, reference: str) -> tuple[int, ...]:
        built = self.run.built
        tokens = built.data.output_tokens(reference, built.tokenizers)
        return (*tokens, EOS) if built.data.ends else tuple(tokens)

    def _score(self, pairs: Sequence[tuple[str, tuple[int, ...]]]) -> None:
        """Score what is not scored yet."""
        new = [pair for pair in dict.fromkeys(pairs) if pair not in self._scores]
        with self._precision():
            generator = self.run.built.generator()
            texts, outputs = [text for text, _ in new], [tokens for _, tokens in new]
            scored = rescored(generator, texts, outputs, self.batch_size)
        self._scores.update(zip(new, scored, strict=True))
