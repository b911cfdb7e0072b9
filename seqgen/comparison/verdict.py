"""The verdict: which system to take, by its quality first and then by what it costs; and why."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

from seqgen.comparison.document import (
    Difference,
    Document,
    Measure,
    RunSearch,
    SystemResult,
    SystemSearch,
    Values,
    Verdict,
)
from seqgen.comparison.measures import COMPARED
from seqgen.options import OptionError, shown
from seqgen.reports import counted, figure, share

COST_TOLERANCE = 1.05
"""Up to how many times the least work is as little: outputs of a word less save nothing."""

NAMED = 3
"""How many systems a sentence names; the others are counted."""

ALIKE = 0.1
"""Statistics whose ratio is within e to the power of plus or minus this are called alike."""


def quality_measure(wanted: str | None, measures: Mapping[str, Measure]) -> str | None:
    """The measure by which systems are ranked: the one that is `wanted`, else the first metric,
    else unlikeness, None where there is none of these.

    Raises OptionError if what is wanted is not among those of `measures` that have a better side.
    """
    if wanted is None:
        return next((name for name, each in measures.items() if each.group == "quality"), None)
    known = [name for name, each in measures.items() if each.better is not None]
    if wanted not in known:
        message = f"must be one of {', '.join(known)}, but is {shown(wanted)}"
        raise OptionError(("quality",), message)
    return wanted


def verdict(document: Document, against_best: Callable[[str], Mapping[str, Difference]]) -> Verdict:
    """Which system to take, and why, in a few sentences.

    The best by quality, or what does as well for less: of all systems that are no more than one
    standard error behind the best (the rule of Breiman et al. 1984, here of the difference between
    two systems on the same inputs; `against_best` gives the differences from the system of a label,
    nothing where there are none) the one for which the model read the fewest rows for an input;
    where others read hardly more, the best of them. Work is counted, so the clock of a machine has
    no say. That a test cannot tell two apart would not do as a rule: with few inputs it tells
    nothing apart, and the cheapest would always be taken.

    Of equally good systems one that draws nothing comes first, then the one with less work, then
    the baseline; ties go to the first label: the order of the plan has no say. None is taken where
    no measure says what is better.
    """
    name = document.quality
    systems = [each for each in document.systems if _value(each.values, name) is not None]
    if name is None or not systems:
        return Verdict(take=None, why=_without_quality(document))
    sign = -1 if document.measures[name].better == "higher" else 1

    def by_quality(system: SystemResult) -> tuple[float, bool, float, bool, str]:
        value, other = sign * (_value(system.values, name) or 0.0), document.baseline
        return value, system.draws, _rows(system), system.label != other, system.label

    best = min(systems, key=by_quality)
    tests = against_best(best.label)
    near = [each for each in systems if _is_near(tests.get(each.label), document.level)]
    near.sort(key=by_quality)
    limit = COST_TOLERANCE * min(map(_rows, [best, *near]))
    taken = next(each for each in [best, *near] if _rows(each) <= limit)
    case = Case(document, name, best, taken, near, tests)
    return Verdict(take=taken.label, why=reasons(case))


def _is_near(test: Difference | None, level: float) -> bool:
    """Whether a difference is at most its standard error, by its interval at `level`."""
    if test is None or test.delta is None or test.low is None or test.high is None:
        return False
    half_width = (test.high - test.low) / 2
    # By the lower tail: near 1, (1 + level) / 2 is 1 in floats, which has no quantile.
    return abs(test.delta) * -NormalDist().inv_cdf((1 - level) / 2) <= half_width


def _value(values: Values, name: str | None) -> float | None:
    """The value of a measure, None where it is not known."""
    found = values.get(name or "")
    return None if found is None or found.value is None or math.isnan(found.value) else found.value


def _rows(system: SystemResult) -> float:
    """The work of a system, infinite where it is not known."""
    found = _value(system.values, "rows_per_input")
    return math.inf if found is None else found


@dataclass(frozen=True)
class Case:
    """The grounds of a verdict: the `best` system by `quality`, those that are hardly worse, the
    best first (`near`), the one to take, and the `tests` of others against the best."""

    document: Document
    quality: str
    best: SystemResult
    taken: SystemResult
    near: Sequence[SystemResult]
    tests: Mapping[str, Difference]

    def title(self, name: str) -> str:
        """The title of a measure."""
        return self.document.measures[name].title

    def shown(self, name: str, value: float) -> str:
        """A value of a measure as display text."""
        measure = self.document.measures.get(name)
        return share(value) if measure and measure.unit == "share" else figure(value)


def reasons(case: Case) -> list[str]:
    """The figures behind a verdict, in up to seven sentences."""
    document, taken = case.document, case.taken
    found = [_best(case), _near(case), _cost(case)]
    if case.quality == "unlikeness" and document.references and document.references.values:
        found += [_statistics(case, document.references.values), _loops(case)]
    runs = document.search.by_run if document.search else ()
    for run in runs:
        own = next((each for each in run.systems if each.label == taken.label), None)
        if run.run == taken.run and own:
            found += [_missed(case, run, own), _faults(own)]
    return [each for each in found if each]


def _without_quality(document: Document) -> list[str]:
    if not document.systems:
        return ["No system has produced anything."]
    return [
        "Nothing here says which output is right: there are no references, or no metric to hold "
        "outputs against them.",
        "So look at the outputs side by side, and in the table at how probable they are to the "
        "model and how diverse: what is most probable repeats itself, what is most diverse is "
        "noise.",
    ]


def _best(case: Case) -> str:
    value, name = case.best.values[case.quality], case.quality
    seeds = [each for each in value.by_seed if each is not None and math.isfinite(each)]
    spread = ""
    if value.low is not None and value.high is not None:
        low, high = case.shown(name, value.low), case.shown(name, value.high)
        spread = f" ({100 * case.document.level:g} % interval {low} to {high})"
    elif len(seeds) > 1:
        low, high = case.shown(name, min(seeds)), case.shown(name, max(seeds))
        spread = f" (by seed {low} to {high})"
    shown = case.shown(name, value.value or 0.0)
    return f"{case.best.label} is best by {case.title(name)}: {shown}{spread}."


def _near(case: Case) -> str:
    """What does about as well as the best, and how many a test distinguishes from it."""
    others = len(case.document.systems) - 1
    if not case.tests or not others:
        return ""
    alpha = 1 - case.document.level
    distinct = sum(each.p_holm is not None and each.p_holm < alpha for each in case.tests.values())
    tests = f"a paired test tells it from {distinct} of {counted(others, 'other')}"
    tests += f" (p by Holm below {alpha:.2g})"
    names = [each.label for each in case.near]
    if not names:
        return f"No other is within one standard error of it; {tests}."
    *most, last = names[:NAMED] + [f"{len(names) - NAMED} more"] * (len(names) > NAMED)
    named = f"{', '.join(most)} and {last}" if most else last
    least = "it" if case.taken is case.best else case.taken.label
    lowest = min(map(_rows, [case.best, *case.near]))
    work = "the least work" if _rows(case.taken) <= lowest else "hardly more than the least work"
    rest = f"; of all these {least} takes {work}" if 0 < _rows(case.taken) < math.inf else ""
    verb = "is" if len(names) == 1 else "are"
    return f"Within one standard error of it {verb} {named}{rest}; {tests}."


def _cost(case: Case) -> str:
    """What the one to take costs, compared with the baseline, or with the best if it is that."""
    taken, baseline = case.taken, case.document.system(case.document.baseline)
    if baseline is None or not 0 < _rows(taken) < math.inf:
        return ""
    other, called = baseline, f"{baseline.label}, the baseline"
    if baseline is taken:
        other, called = case.best, f"{case.best.label}, the best"
    if other is taken:
        return f"It is the baseline as well, with {figure(_rows(taken))} rows of work per input."
    own = case.shown(case.quality, _value(taken.values, case.quality) or 0.0)
    at = "" if taken is case.best else f", at {own},"
    cost = f"{taken.label}{at} reads {figure(_rows(taken))} rows per input"
    if 0 < _rows(other) < math.inf:
        times = f"{_rows(taken) / _rows(other):.3g}"
        cost += f", {'as many as' if times == '1' else f'{times} times those of'} {called}"
    value = _value(other.values, case.quality)
    if other is case.best or value is None:
        return f"{cost}."
    difference = taken.against_baseline.get(case.quality)
    p_holm = None if difference is None else difference.p_holm
    test = "" if p_holm is None else f" (p by Holm {p_holm:.2g})"
    shown = case.shown(case.quality, value)
    return f"{cost}, whose {case.title(case.quality)} is {shown}{test}."


def _statistics(case: Case, references: Values) -> str:
    """Which statistics of held-out text are met."""
    alike: list[str] = []
    apart: list[str] = []
    for name in COMPARED:
        value, wanted = _value(case.taken.values, name), _value(references, name)
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


def _loops(case: Case) -> str:
    """How many outputs of the baseline loop, where fewer of the one to take do."""
    baseline = case.document.system(case.document.baseline)
    if baseline is None:
        return ""
    other, own = (_value(each.values, "looping") or 0.0 for each in (baseline, case.taken))
    label = baseline.label
    said = f"{share(other)} of the outputs of {label} end in a loop, and {share(own)} of its own."
    return said if other > own else ""


def _missed(case: Case, run: RunSearch, own: SystemSearch) -> str:
    """What was missed of the most probable outputs, and what an exact search would bring."""
    if own.missed is None:
        return ""
    inputs = counted(run.certain, "input")
    if not own.missed:
        return f"It found the most probable output for each of {inputs} where that is certain."
    text = f"It missed the most probable output for {share(own.missed)} of {inputs}"
    if run.empty.best:
        text += f", where that is the empty one for {share(run.empty.best)}"
    best = (run.quality_of_best or {}).get(case.quality)
    value = own.quality.get(case.quality)
    if best is None or value is None:
        return f"{text}."
    higher = case.document.measures[case.quality].better == "higher"
    better = best > value if higher else best < value
    what = "a better search could help" if better else "searching harder would not help"
    most, its = case.shown(case.quality, best), case.shown(case.quality, value)
    title = case.title(case.quality)
    return f"{text}; by {title} the most probable ones have {most} and its own {its}, so {what}."


def _faults(own: SystemSearch) -> str:
    if not own.wrong:
        return ""
    return (
        f"Of its {counted(own.outputs or 0, 'output')} there, {own.wrong} are no reference: "
        f"{own.model_errors} by an error of the model, which finds them at least as probable as "
        f"what is right, and {own.search_errors} by an error of the search."
    )
