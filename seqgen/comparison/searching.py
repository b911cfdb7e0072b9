"""Searching for the most probable outputs, to tell errors of a search from errors of a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from seqgen.answers import spread
from seqgen.comparison.contest import Contest
from seqgen.comparison.inputs import Inputs
from seqgen.comparison.plan import Plan
from seqgen.comparison.produced import Produced
from seqgen.comparison.producing import Workshop
from seqgen.comparison.search_errors import Searched, only, search_errors, search_part
from seqgen.data import Example
from seqgen.metrics import Metric


def searched(
    contest: Contest,
    workshops: Sequence[Workshop],
    inputs: Inputs,
    produced: Sequence[Produced],
    plan: Plan,
    metrics: Mapping[str, Metric],
) -> dict[str, Any] | None:
    """The `search` part of a comparison, on some of its inputs, evenly spread.

    None where the plan wants it for no input, and where outputs have no end of their own: then
    there is no most probable one that could be looked for. Nothing is said of references where text
    is continued: none is the one that is right.
    """
    ends = all(run.built.data.ends for run in contest.runs)
    places = spread(range(len(inputs.examples)), plan.search.inputs) if ends else ()
    if not places:
        return None
    examples = [inputs.examples[place] for place in places]
    if contest.runs[0].built.data.continues:
        examples = [replace(each, references=()) for each in examples]
    found, parts = [], []
    runs = list(enumerate(contest.names))
    for run, name in contest.each(runs, lambda each: f"the most probable outputs of {each[1]}"):
        own = [only(each, places) for each in produced if each.system.run == run]
        found.append(_search(workshops[run], name, examples, plan.search.max_nodes))
        parts.append(search_errors(found[-1], own, examples, metrics))
    return search_part(found, parts, plan.search.max_nodes)


def _search(workshop: Workshop, name: str, examples: Sequence[Example], max_nodes: int) -> Searched:
    """The most probable output of a run for each example, as far as `exact` is sure of it."""
    texts = [each.source for each in examples]
    scored = [[sum(each.log_probs) for each in own] for own in workshop.references(examples)]
    return Searched(name, workshop.exact(texts, max_nodes), workshop.ends_at_once(texts), scored)
