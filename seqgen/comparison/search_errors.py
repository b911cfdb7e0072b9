"""Search errors: what a search missed, and what the model itself has wrong."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from seqgen.answers import evenly_spaced
from seqgen.comparison.decode import Comparison, Output, Produced
from seqgen.comparison.document import EmptyOutput, RunSearch, Search, SystemSearch
from seqgen.comparison.measures import length, log_prob
from seqgen.comparison.quality import answers_of, measured
from seqgen.data import Example
from seqgen.decoders import Exact
from seqgen.metrics import Metric

TOLERANCE = 1e-6
"""Log-probabilities that are nearer than this (nats, and of large ones this share) are the same."""


@dataclass(frozen=True)
class Searched:
    """What is known of each searched input by the model of `run` alone.

    `best: [inputs]` is what an exact search found: the most probable output where its hypothesis is
    `complete`; then the input is called certain. `empty: [inputs]` is the log-probability of the
    empty output, `references: [inputs]` those of all references, -inf where one is unreachable, and
    nothing where there are none.
    """

    run: str
    best: Sequence[Output]
    empty: Sequence[float]
    references: Sequence[Sequence[float]]

    @property
    def certain(self) -> list[int]:
        """The indices of the certain inputs."""
        return [i for i, each in enumerate(self.best) if each.generated.hypothesis.complete]


def search(comparison: Comparison, produced: Sequence[Produced]) -> Search | None:
    """The exact search of each run on some of the inputs, evenly spread.

    None where the plan wants it for no input, and where outputs have no end of their own: then
    there is no most probable one. References are left aside where text is continued: none of them
    is the right one.
    """
    options, inputs = comparison.plan.search, comparison.inputs.examples
    ends = all(run.built.data.ends for run in comparison.runs)
    chosen = evenly_spaced(range(len(inputs)), options.inputs) if ends else ()
    if not chosen:
        return None
    examples = [inputs[index] for index in chosen]
    if comparison.runs[0].built.data.continues:
        examples = [replace(each, references=()) for each in examples]
    texts = [each.source for each in examples]
    found: list[Searched] = []
    by_run: list[RunSearch] = []
    for name, runner in comparison.each_run("the most probable outputs"):
        scores = [[sum(each.log_probs) for each in some] for some in runner.references(examples)]
        best = [own for [own] in runner.draws(Exact(max_nodes=options.max_nodes), texts, 1)]
        found.append(Searched(name, best, runner.ends_at_once(texts), scores))
        own = [only(each, chosen) for each in produced if each.system.run == len(by_run)]
        by_run.append(search_errors(found[-1], own, examples, comparison.metrics))
    return Search(
        inputs=len(examples),
        certain=certain_for_all(found),
        max_nodes=options.max_nodes,
        by_run=by_run,
    )


def certain_for_all(searched: Sequence[Searched]) -> int:
    """The number of inputs that are certain for each run."""
    return len(set.intersection(*(set(each.certain) for each in searched)))


def only(produced: Produced, indices: Sequence[int]) -> Produced:
    """What the system produced for the inputs of these indices; `rows` stay those of all."""
    outputs = [[own[index] for index in indices] for own in produced.outputs]
    return replace(produced, outputs=outputs)


def search_errors(
    searched: Searched,
    produced: Sequence[Produced],
    examples: Sequence[Example],
    metrics: Mapping[str, Metric],
) -> RunSearch:
    """The most probable outputs of a run, and which of them its systems, `produced`, missed.

    Systems, `examples` and `searched` are of the same inputs. Everything is by the log-probability
    of the model alone: a system whose constraints forbid the most probable output missed it, too.

    **Missed** is the most probable output where the best output of a system is less probable, the
    gap is by how many nats (Stahlberg and Byrne 2019 count such search errors by exact search).
    Of several seeds each output counts.

    **Search error or model error**: an output that is no reference is a search error where a
    reference is more probable, for then the model would have preferred what is right; else it is a
    model error, which no better search would mend. This distinction comes from statistical machine
    translation; it takes no exact search, so it is made on all inputs, not only certain ones.

    What is not defined is None: what is about certain inputs where there is none, and what is about
    references where an input has none.
    """
    certain = searched.certain
    best = [searched.best[index] for index in certain]
    referenced = all(each.references for each in examples)
    judged = metrics if referenced else {}
    certain_examples = [examples[index] for index in certain]

    def quality(outputs: Sequence[Sequence[Output]]) -> dict[str, float]:
        """The metrics of the outputs for certain inputs, by seed."""
        if not certain:
            return {}
        answers = [answers_of(each, certain_examples) for each in outputs]
        return {name: measured(metric, answers) for name, metric in judged.items()}

    right, beaten = [], []
    for index in certain if referenced else ():
        output = searched.best[index]
        right.append(output.generated.text in examples[index].references)
        above = _above(log_prob(output), max(searched.references[index]))
        beaten.append(above and not right[-1])
    reachable = sum(max(each) > -math.inf for each in searched.references) if referenced else None
    systems = []
    for each in produced:
        seeds = [each.best(seed) for seed in range(len(each.seeds))]
        on_certain = [[outputs[index] for index in certain] for outputs in seeds]
        found = _missed(each.system.label, best, on_certain, quality(on_certain))
        systems.append(_with_errors(found, searched, seeds, examples) if referenced else found)
    return RunSearch(
        run=searched.run,
        certain=len(certain),
        empty=EmptyOutput(
            mean_probability=fmean(map(math.exp, searched.empty)) if searched.empty else None,
            best=fmean(length(each) == 0 for each in best) if best else None,
        ),
        reference_reachable=reachable,
        best_is_reference=fmean(right) if right else None,
        best_beats_reference=fmean(beaten) if beaten else None,
        quality_of_best=quality([best]) if referenced else None,
        systems=systems,
    )


def _missed(
    label: str,
    best: Sequence[Output],
    outputs: Sequence[Sequence[Output]],
    quality: Mapping[str, float],
) -> SystemSearch:
    """How often a system missed the `best` outputs, and by how many nats; `outputs` are its own, by
    seed. A gap to an impossible output has no size and does not count in these."""
    pairs = [
        (log_prob(most), log_prob(output))
        for own in outputs
        for most, output in zip(best, own, strict=True)
    ]
    gaps = [most - output for most, output in pairs if _above(most, output)]
    sizes = [each for each in gaps if math.isfinite(each)]
    return SystemSearch(
        label=label,
        missed=len(gaps) / len(pairs) if pairs else None,
        mean_gap=fmean(sizes) if sizes else None,
        largest_gap=max(sizes, default=None),
        quality=quality,
    )


def _with_errors(
    found: SystemSearch,
    searched: Searched,
    seeds: Sequence[Sequence[Output]],
    examples: Sequence[Example],
) -> SystemSearch:
    """With how many of all outputs, by seed, are no reference, and whose error that is."""
    wrong = [
        _above(max(references), log_prob(output))
        for outputs in seeds
        for output, references, example in zip(outputs, searched.references, examples, strict=True)
        if output.generated.text not in example.references
    ]
    return replace(
        found,
        outputs=len(seeds) * len(examples),
        wrong=len(wrong),
        search_errors=sum(wrong),
        model_errors=len(wrong) - sum(wrong),
    )


def _above(one: float, other: float) -> bool:
    """Whether `one` is the larger log-probability, not by rounding alone."""
    if other == -math.inf:
        return one > other
    return one > other + TOLERANCE * max(1.0, abs(other))
