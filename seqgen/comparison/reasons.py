"""Reasons: the sentences that say why a system is the one to take."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from seqgen.comparison.unlikeness import COMPARED
from seqgen.reports.quantities import counted, figure, share

Part = Mapping[str, Any]
"""A part of `compare.json`."""
System = Part

NAMED = 3
"""How many systems a sentence names; the others are counted."""

ALIKE = 0.1
"""Statistics whose ratio is within e to the power of plus or minus this are called alike."""


@dataclass(frozen=True)
class Case:
    """What a verdict was found by: the `best` system by quality, those that are hardly behind it
    (`near`, best first; None where there are no tests), of how many others it is `told` apart, and
    the one to take. `found` is what `compare.json` has, `level` that of the tests."""

    found: Part
    best: System
    taken: System
    near: Sequence[System] | None
    told: int
    level: float

    @property
    def quality(self) -> str:
        """The measure that systems were ranked by."""
        return str(self.found["quality"])

    @property
    def baseline(self) -> System | None:
        """The system that the others are tested against."""
        label, systems = self.found.get("baseline"), self.found["systems"]
        return next((each for each in systems if each["label"] == label), None)

    def title(self, name: str) -> str:
        """What a measure is called."""
        return str(self.found["measures"][name]["title"])

    def value_of(self, system: System) -> str:
        """The quality of a system as a person reads it; nothing where it is not known."""
        value = system["values"].get(self.quality, {}).get("value")
        known = value is not None and not math.isnan(value)
        return self.shown(self.quality, value) if known else ""

    def shown(self, name: str, value: float) -> str:
        """A value of a measure as a person reads it."""
        unit = self.found["measures"].get(name, {}).get("unit", "")
        return share(value) if unit == "share" else figure(value)


def reasons(case: Case) -> list[str]:
    """The figures behind a verdict, in up to five sentences."""
    found = [_best(case), _near(case), _cost(case), *_unlikeness(case), *_search(case)]
    return [each for each in found if each]


def without_quality(found: Part) -> list[str]:
    """What to say where no measure tells what is better."""
    why = [
        "Nothing here says which output is right: there are no references, or no metric to hold "
        "outputs against them.",
        "So look at the outputs side by side, and in the table at how probable they are to the "
        "model and how diverse: what is most probable repeats itself, what is most diverse is "
        "noise.",
    ]
    return why if found["systems"] else ["No system has produced anything."]


def _best(case: Case) -> str:
    value, name = case.best["values"][case.quality], case.quality
    seeds = [each for each in value.get("by_seed", ()) if math.isfinite(each)]
    beside = ""
    if value.get("low") is not None and value.get("high") is not None:
        low, high = (case.shown(name, value[each]) for each in ("low", "high"))
        beside = f" ({100 * case.level:g} % interval {low} to {high})"
    elif len(seeds) > 1:
        low, high = (case.shown(name, each) for each in (min(seeds), max(seeds)))
        beside = f" (by seed {low} to {high})"
    shown = case.shown(name, value["value"])
    return f"{case.best['label']} is best by {case.title(name)}: {shown}{beside}."


def _near(case: Case) -> str:
    """What does about as well as the best, and what a test tells from it."""
    others = len(case.found["systems"]) - 1
    if case.near is None or not others:
        return ""
    tests = f"a paired test tells it from {case.told} of {counted(others, 'other')}"
    tests += f" (p by Holm below {1 - case.level:.2g})"
    names = [each["label"] for each in case.near]
    if not names:
        return f"No other is within one standard error of it; {tests}."
    named = _listed(names[:NAMED] + [f"{len(names) - NAMED} more"] * (len(names) > NAMED))
    least = "it" if case.taken is case.best else case.taken["label"]
    lowest = min(map(_rows, [case.best, *case.near]))
    work = "the least work" if _rows(case.taken) <= lowest else "hardly more than the least work"
    rest = f"; of all these {least} takes {work}" if _rows(case.taken) else ""
    verb = "is" if len(names) == 1 else "are"
    return f"Within one standard error of it {verb} {named}{rest}; {tests}."


def _listed(names: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last


def _cost(case: Case) -> str:
    """What the one to take costs, beside the baseline, or beside the best if it is that."""
    taken, other = case.taken, case.baseline
    if other is None or not _rows(taken):
        return ""
    beside, called = other, f"{other['label']}, the baseline"
    if other is taken:
        beside, called = case.best, f"{case.best['label']}, the best"
    if beside is taken:
        return f"It is the baseline as well, with {figure(_rows(taken))} rows of work per input."
    at = "" if taken is case.best else f", at {case.value_of(taken)},"
    cost = f"{taken['label']}{at} reads {figure(_rows(taken))} rows per input"
    if _rows(beside):
        times = f"{_rows(taken) / _rows(beside):.3g}"
        cost += f", {'as many as' if times == '1' else f'{times} times those of'} {called}"
    value = case.value_of(beside)
    if beside is case.best or not value:
        return f"{cost}."
    p_holm = taken.get("against_baseline", {}).get(case.quality, {}).get("p_holm")
    test = "" if p_holm is None else f" (p by Holm {p_holm:.2g})"
    return f"{cost}, whose {case.title(case.quality)} is {value}{test}."


def _unlikeness(case: Case) -> list[str]:
    """What is behind unlikeness, where that is what quality means."""
    references = (case.found.get("references") or {}).get("values", {})
    if case.quality != "unlikeness" or not references:
        return []
    return [_statistics(case, references), _loops(case)]


def _loops(case: Case) -> str:
    """How many outputs of the baseline go round and round."""
    if case.baseline is None:
        return ""
    other, own = (
        each["values"].get("looping", {}).get("value", 0.0) for each in (case.baseline, case.taken)
    )
    if not other > own:
        return ""
    label = case.baseline["label"]
    return f"{share(other)} of the outputs of {label} end in a loop, and {share(own)} of its own."


def _statistics(case: Case, references: Part) -> str:
    """Which statistics of held-out text are met."""
    alike: list[str] = []
    apart: list[str] = []
    for name in COMPARED:
        both = (case.taken["values"], references)
        value, wanted = (each.get(name, {}).get("value") for each in both)
        if value is None or wanted is None:
            continue
        text = f"{case.title(name)} {case.shown(name, value)} ({case.shown(name, wanted)})"
        near = wanted and value / wanted > 0 and abs(math.log(value / wanted)) <= ALIKE
        (alike if near else apart).append(text)
    parts = [
        f"{how} {', '.join(names)}"
        for how, names in (("near are", alike), ("further off", apart))
        if names
    ]
    return f"Its statistics, and in brackets those of held-out text: {'; '.join(parts)}."


def _search(case: Case) -> list[str]:
    """What was searched for and missed, and whose fault it is."""
    runs = (case.found.get("search") or {}).get("by_run", [])
    run: Part = next((each for each in runs if each["run"] == case.taken["run"]), {})
    systems = run.get("systems", [])
    own: Part = next((each for each in systems if each["label"] == case.taken["label"]), {})
    return [_missed(case, run, own), _faults(own)]


def _missed(case: Case, run: Part, own: Part) -> str:
    if own.get("missed") is None:
        return ""
    inputs = counted(run["certain"], "input")
    if not own["missed"]:
        return f"It found the most probable output for each of {inputs} where that is certain."
    text = f"It missed the most probable output for {share(own['missed'])} of {inputs}"
    empty = run.get("empty", {}).get("best")
    if empty:
        text += f", where that is the empty one for {share(empty)}"
    return f"{text}{_harder(case, run, own)}."


def _harder(case: Case, run: Part, own: Part) -> str:
    """What an exact search would bring."""
    best, value = (
        each.get(key, {}).get(case.quality)
        for each, key in ((run, "quality_of_best"), (own, "quality"))
    )
    if best is None or value is None:
        return ""
    higher = case.found["measures"][case.quality]["better"] == "higher"
    better = best > value if higher else best < value
    what = "a better search could help" if better else "searching harder would not help"
    most, its = case.shown(case.quality, best), case.shown(case.quality, value)
    title = case.title(case.quality)
    return f"; by {title} the most probable ones have {most} and its own {its}, so {what}"


def _faults(own: Part) -> str:
    if not own.get("wrong"):
        return ""
    return (
        f"Of its {counted(own['outputs'], 'output')} there, {own['wrong']} are no reference: "
        f"{own['model_errors']} by an error of the model, which finds them at least as probable "
        f"as what is right, and {own['search_errors']} by an error of the search."
    )


def _rows(system: System) -> float:
    return float(system["values"].get("rows_per_input", {}).get("value", 0.0))
