"""What is known of decoding, as checks of a comparison: each says a sentence, and whether it holds.

A check that fails is a finding about the model, the plan or seqgen; it is told with its figures.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

Document = Mapping[str, Any]
"""What compare.json holds, of one run."""

System = Mapping[str, Any]

ROUNDING = 1e-6
"""Log-probabilities that are nearer than this, in nats, are the same."""


class Finding(NamedTuple):
    """Whether a fact holds, and the figures that say so."""

    holds: bool
    figures: str


Fact = Callable[[Document], Finding]


def greedy_text_cycles(document: Document) -> Finding:
    """Greedy text ends in a circle, text that is drawn at temperature 1 does not."""
    [greedy] = systems(document, "greedy")
    [drawn] = systems(document, "multinomial", temperature=1.0)
    of_greedy, of_drawn = value(greedy, "looping"), value(drawn, "looping")
    figures = f"looping: greedy {of_greedy:.3f}, temperature 1 {of_drawn:.3f}"
    return Finding(of_greedy >= 0.5 and of_drawn <= 0.01, figures)


def diversity_rises_with_temperature(document: Document) -> Finding:
    """The higher the temperature, the more of what is said is different; greedy is at 0."""
    found = [
        *((0.0, each) for each in systems(document, "greedy")),
        *((each["decoder"]["temperature"], each) for each in systems(document, "multinomial")),
    ]
    points = [
        (at, value(each, "distinct_2")) for at, each in sorted(found, key=lambda pair: pair[0])
    ]
    rises = all(low < high for (_, low), (_, high) in pairwise(points))
    return Finding(rises and len(points) > 2, f"distinct-2 at {_listed(points)}")


def a_beam_is_never_below_greedy(document: Document) -> Finding:
    """Without a length normalisation a beam is, on average, no less probable than greedy."""
    [greedy] = systems(document, "greedy")
    least = value(greedy, "log_prob_per_sequence")
    points = _by_beam(document, "log_prob_per_sequence")
    holds = all(each >= least - ROUNDING for _, each in points)
    figures = f"log-probability of an output: greedy {least:.4f}; beams of {_listed(points)}"
    return Finding(holds and len(points) > 1, figures)


def nothing_is_above_exact(document: Document) -> Finding:
    """What an exact search is sure of is the most probable: no strategy finds a better one."""
    [exact] = systems(document, "exact")
    sure, above = 0, []
    for shown in document["outputs"]:
        by_label = {each["label"]: each for each in shown["by"]}
        best = by_label[exact["label"]]
        if not best.get("complete", True):
            continue
        sure += 1
        for label, other in by_label.items():
            if other["log_prob"] is not None and other["log_prob"] > best["log_prob"] + ROUNDING:
                above.append(f"{label} on {shown['input']!r}")
    gaps = [
        each["largest_gap"]
        for run in document["search"]["by_run"]
        for each in run["systems"]
        if each["label"] == exact["label"] and "largest_gap" in each
    ]
    figures = f"{sure} inputs, {len(above)} above: {', '.join(above[:5]) or 'none'}"
    return Finding(sure > 0 and not above and not gaps, figures)


def wider_beams_miss_less(document: Document) -> Finding:
    """The wider a beam, the more seldom it misses the most probable output."""
    [run] = document["search"]["by_run"]
    missed = {each["label"]: each["missed"] for each in run["systems"]}
    [greedy] = systems(document, "greedy")
    points = [
        (1.0, missed[greedy["label"]]),
        *((each["decoder"]["beam_size"], missed[each["label"]]) for each in _beams(document)),
    ]
    falls = all(high >= low for (_, high), (_, low) in pairwise(points))
    strictly = points[0][1] > points[-1][1]
    return Finding(falls and strictly, f"missed by beams of {_listed(points)}")


def wide_beams_shorten(document: Document) -> Finding:
    """Without a length normalisation a very wide beam gives shorter translations."""
    points = dict(_by_beam(document, "length_ratio"))
    return Finding(
        points[50] < points[5], f"length to reference: beams of {_listed(points.items())}"
    )


def normalisation_keeps_the_length(document: Document) -> Finding:
    """Divided by its length, the score of a wide beam prefers longer outputs than without."""
    plain = dict(_by_beam(document, "length_ratio"))[50]
    [mean] = systems(document, "beam", beam_size=50, length_normalisation="power")
    normalised = value(mean, "length_ratio")
    figures = f"length to reference, beam of 50: none {plain:.4f}, power {normalised:.4f}"
    return Finding(normalised > plain, figures)


def more_draws_hold_a_better_one(document: Document) -> Finding:
    """The best of n draws, chosen by who knows what is right, gets better with n."""
    quality = document["quality"]
    sign = 1 if document["measures"][quality]["better"] == "higher" else -1
    [run] = document["best_of"]["by_run"]
    points = [(each["n"], each["oracle"][quality]) for each in run["points"]]
    rises = all(sign * low <= sign * high for (_, low), (_, high) in pairwise(points))
    strictly = sign * points[0][1] < sign * points[-1][1]
    return Finding(rises and strictly, f"{quality} of the best of {_listed(points)}")


OF_TEXT: Sequence[Fact] = (
    greedy_text_cycles,
    diversity_rises_with_temperature,
    a_beam_is_never_below_greedy,
)
OF_ANSWERS: Sequence[Fact] = (
    a_beam_is_never_below_greedy,
    nothing_is_above_exact,
    wider_beams_miss_less,
    more_draws_hold_a_better_one,
)
OF_TRANSLATIONS: Sequence[Fact] = (
    *OF_ANSWERS,
    wide_beams_shorten,
    normalisation_keeps_the_length,
)


def check(document: Document, facts: Sequence[Fact]) -> bool:
    """Whether all `facts` hold; each is told with its figures, on standard error."""
    findings = [(inspect.getdoc(each) or each.__name__, each(document)) for each in facts]
    for sentence, found in findings:
        word = "holds" if found.holds else "DOES NOT HOLD"
        print(f"{word}: {sentence} ({found.figures})", file=sys.stderr)
    return all(found.holds for _, found in findings)


def systems(document: Document, decoder: str, **options: Any) -> list[System]:
    """Those of a decoder with these options, in the order of the plan; without what can be added to
    any, such as constraints, where the options do not say so."""
    wanted = {"constraints": [], "truncations": [], "word_reward": 0.0, **options}
    return [
        each
        for each in document["systems"]
        if each["decoder"]["name"] == decoder
        and all(each["decoder"].get(name, value) == value for name, value in wanted.items())
    ]


def with_more(document: Document, *options: str) -> list[System]:
    """Those where one of these options, which are lists, is not empty."""
    return [
        each for each in document["systems"] if any(each["decoder"].get(name) for name in options)
    ]


def value(system: System, measure: str) -> float:
    """What was measured of a system."""
    found: float = system["values"][measure]["value"]
    return found


def _beams(document: Document) -> list[System]:
    """The beams that rank by the score alone, the narrow ones first."""
    found = systems(document, "beam", length_normalisation="none")
    return sorted(found, key=lambda each: each["decoder"]["beam_size"])


def _by_beam(document: Document, measure: str) -> list[tuple[float, float]]:
    return [(each["decoder"]["beam_size"], value(each, measure)) for each in _beams(document)]


def _listed(points: Iterable[tuple[float, float]]) -> str:
    return ", ".join(f"{at:g}: {each:.4g}" for at, each in points)
