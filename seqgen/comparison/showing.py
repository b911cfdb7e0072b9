"""What a comparison shows to be read: outputs side by side, and traces of how they came about."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from seqgen.answers import spread
from seqgen.comparison.contest import Contest
from seqgen.comparison.inputs import Inputs
from seqgen.comparison.plan import Plan
from seqgen.comparison.produced import Produced
from seqgen.comparison.producing import Workshop
from seqgen.comparison.quality import Quality
from seqgen.comparison.scores import log_prob


def outputs_shown(
    inputs: Inputs, produced: Sequence[Produced], quality: Quality, most: int
) -> list[dict[str, Any]]:
    """For up to `most` inputs, evenly spread, the best output of each system by its first seed."""
    return [
        {
            "input": inputs.examples[place].source,
            "references": list(inputs.examples[place].references),
            "by": [_output(each, quality, place) for each in produced],
        }
        for place in spread(range(len(inputs.examples)), most)
    ]


def _output(produced: Produced, quality: Quality, place: int) -> dict[str, Any]:
    best, label = produced.outputs[0][place][0], produced.system.label
    values = {name: quality.single(name, label, place) for name in quality.metrics}
    hypothesis = best.generated.hypothesis
    return {
        "label": label,
        "text": best.generated.text,
        "log_prob": log_prob(best),
        "finished": hypothesis.finished,
        # Said of a search alone that ran out of its budget: a better output may be missing.
        **({} if hypothesis.complete else {"complete": False}),
        **({} if hypothesis.satisfied else {"satisfied": False}),
        "values": {name: value for name, value in values.items() if value is not None},
    }


def traces_shown(
    contest: Contest, workshops: Sequence[Workshop], inputs: Inputs, plan: Plan
) -> list[dict[str, Any]]:
    """Traces of up to `plan.traced` inputs, evenly spread, by each system and its first seed."""
    places = spread(range(len(inputs.examples)), plan.traced)
    if not places:
        return []
    found: list[tuple[int, dict[str, Any]]] = []  # with the places, for inputs may be alike
    texts = [inputs.texts[place] for place in places]
    for system in contest.each(contest.systems, lambda system: f"traces of {system.label}"):
        traces = workshops[system.run].traces(system, texts, places)
        own = {"label": system.label, "run": contest.names[system.run]}
        told = [{"input": each["input"], **own, "trace": each} for each in traces]
        found += zip(places, told, strict=True)
    return [each for _, each in sorted(found, key=lambda pair: pair[0])]
