"""The values of a system: what each measure says of what it produced."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from seqgen.comparison.lengths import length_of, lengths
from seqgen.comparison.measures import Outputs, Values, by_seed
from seqgen.comparison.plan import Plan
from seqgen.comparison.produced import Output, Produced, Reference
from seqgen.comparison.quality import Quality
from seqgen.comparison.scores import scores
from seqgen.comparison.unlikeness import unlikeness
from seqgen.comparison.variety import training_text, variety
from seqgen.comparison.work import work
from seqgen.data import Example
from seqgen.decoders import Hypothesis
from seqgen.generate import Generated
from seqgen.metrics import TrainingText
from seqgen.tokenizers import Tokenizer
from seqgen.trained import TrainedRun


@dataclass
class Measurer:
    """Measures what the systems produced, each with the training text of its own run and beside the
    first reference of each of the `examples`, by the model and in the tokens of its run:
    `references: [runs, inputs]`, for each run nothing where there are none."""

    runs: Sequence[TrainedRun]
    plan: Plan
    examples: Sequence[Example]
    references: Sequence[Sequence[Reference]]
    _training: dict[int, TrainingText] = field(default_factory=dict)
    _of_references: dict[int, Values] = field(default_factory=dict)

    def system(self, produced: Produced, quality: Quality) -> Values:
        """All values of a system."""
        run = produced.system.run
        found = by_seed(produced, lambda outputs: self._of(run, outputs))
        own = {**quality.values(produced.system.label), **found, **work(produced)}
        if not self.runs[run].built.data.continues:  # then there is an answer that is right
            return own
        wanted, unit = self.of_references(run), self.plan.diversity_unit
        return {**own, **by_seed(produced, lambda each: unlikeness(each, wanted, unit))}

    def read_training_texts(self) -> None:
        """Read them now and not when they are needed. Errors: DataError."""
        for run in range(len(self.runs)):
            self._training_text(run)

    def of_references(self, run: int) -> Values:
        """What the same measures say of the references themselves, by the model of a run; nothing
        where there are none."""
        if run not in self._of_references:
            tokenizer = self.runs[run].built.tokenizer
            outputs = [
                [_as_output(example.source, each, tokenizer)]
                for example, each in zip(self.examples, self.references[run], strict=False)
            ]
            found = self._of(run, outputs) if outputs else {}
            self._of_references[run] = {name: {"value": value} for name, value in found.items()}
        return self._of_references[run]

    def _of(self, run: int, outputs: Outputs) -> Mapping[str, float]:
        ends = self.runs[run].built.data.ends
        sizes = [length_of(each.tokens) for each in self.references[run]] or None
        return {
            **scores(outputs),
            **variety(outputs, self.plan.diversity_unit, self._training_text(run)),
            **lengths(outputs, sizes, ends),
        }

    def _training_text(self, run: int) -> TrainingText | None:
        """Read once for each run."""
        if not self.plan.copies:
            return None
        if run not in self._training:
            built = self.runs[run].built
            texts = built.data.training_texts()[built.data.output_field]
            self._training[run] = training_text(texts, self.plan.diversity_unit, built.tokenizer)
        return self._training[run]


def _as_output(source: str, reference: Reference, tokenizer: Tokenizer) -> Output:
    score = sum(reference.log_probs)
    hypothesis = Hypothesis(reference.tokens, score, True, reference.log_probs)
    pieces = tuple(tokenizer.shown(token) for token in reference.tokens)
    return Output(Generated(source, reference.text, hypothesis, pieces), reference.log_probs)
