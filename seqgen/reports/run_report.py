"""The page of a run: what each of its sections shows, computed from the files of the run.

A section is a function in `PARTS`, from `RunFiles` to what the block of the same name in
`templates/run.html` shows (empty where there is nothing), and its title at the top of the template.
To add one, write these three.
"""

from __future__ import annotations

import math
import random
import shlex
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Annotated, Any, Final, TypeAlias

from pydantic import BaseModel, Field, ValidationError

from seqgen.errors import SetupError
from seqgen.files import write_file
from seqgen.reports import analyses, format
from seqgen.reports.analyses import CLASSES, Compared
from seqgen.reports.run_files import Candidate, RunFiles, Sample, read_run

Part: TypeAlias = Mapping[str, Any]

VALIDATIONS: Final = 12
"""How many validations are shown at once."""
FAINT: Final = 0.001
"""Candidates for the first token of an output that are less probable are not shown."""
FEW_ANSWERS: Final = 20
"""Bins of fewer answers do not widen the scale by their intervals."""
CLASSES_SHOWN: Final = 30
"""How many classes the matrix shows, and how many rows of the scores stand open."""
WORST: Final = 8
DRAWN: Final = 12
ON_A_CARD: Final = 3
"""How many samples a notebook shows of a run."""
SEED: Final = 1
"""The same wrong answers are drawn each time."""


@cache
def try_drawing() -> None:
    """Draw the pictures of a run that has no losses yet, so that what would end a run at its end
    does so at its start. Raises SetupError if they cannot be drawn."""
    try:
        _pictures(RunFiles("nothing"))
    except Exception as error:  # of a library that is not ours, from the fonts of the machine
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise SetupError(f"the pictures of the report cannot be drawn: {reason}") from None


def write_report(folder: Path) -> None:
    """Write `report.html`, `loss.png` and `loss.pdf` from the files of the run in `folder`.

    The run may be unfinished, and the report may be made any number of times.
    """
    run = read_run(folder)
    for name, content in _pictures(run).items():
        write_file(folder / name, content)
    write_file(folder / "report.html", run_page(run))


def _pictures(run: RunFiles) -> dict[str, bytes]:
    from seqgen.reports import charts

    draw = charts.learning_curves(charts.curves_of(run))
    return {f"loss.{kind}": charts.picture(draw, kind) for kind in ("png", "pdf")}


def run_page(run: RunFiles) -> str:
    """The page as HTML."""
    return format.render(
        "run.html",
        heading=run.name,
        **_lead(run),
        parts={name: make(run) for name, make in PARTS.items()},
        analyses=analyses,
        arrows=format.ARROWS,
        align_tokens=align_tokens,
        first_candidates=first_candidates,
        exp=math.exp,
    )


def run_card(run: RunFiles, heading: str) -> str:
    """What a notebook shows of a run, finished or not: figures, learning curves, a few samples."""
    from seqgen.reports import charts

    shown = charts.curves_of(run)
    drawn = ""
    if len(shown.train) or len(shown.valid):
        drawn = charts.svg(charts.learning_curves(shown), "learning curves", layout=charts.FILE)
    latest = next((each.samples for each in reversed(run.valid) if each.samples), [])
    every = sorted(run.samples, key=_temperature) or latest
    chosen = {round(place * (len(every) - 1) / (ON_A_CARD - 1)) for place in range(ON_A_CARD)}
    samples = [each for place, each in enumerate(every) if place in chosen]
    return format.render(
        "run_card.html", heading=heading, **_lead(run), chart=drawn, samples=samples
    )


def _lead(run: RunFiles) -> Part:
    """How long it was trained, and its size."""
    training, known = run.result.train, run.result.parameters
    if run.train and not run.finished:
        training = run.train[-1].model_copy(update={"steps": run.train[-1].step})
    parameters = run.manifest.parameters if known is None else known
    return {"run": run, "training": training, "parameters": parameters}


def _curves(run: RunFiles) -> Part:
    from seqgen.reports import charts

    shown = charts.curves_of(run)
    layouts = {"broad": charts.BROAD, "slim": charts.SLIM}
    draw = charts.learning_curves(shown) if len(shown.train) or len(shown.valid) else None
    drawn = {
        name: charts.svg(draw, "learning curves", layout=layout)
        for name, layout in layouts.items()
        if draw
    }
    return {"curves": shown, "charts": drawn}


def _learning(run: RunFiles) -> Part:
    """The validations whose samples are shown at once, and all of them."""
    every = [event for event in run.valid if event.samples]
    if not every:
        return {}
    best, last = run.best_step, len(every) - 1
    chosen = {round(place * last / (VALIDATIONS - 1)) for place in range(VALIDATIONS)}
    shown = [each for place, each in enumerate(every) if place in chosen or each.step == best]
    return {"shown": shown, "every": every, "best": best}


def _samples(run: RunFiles, continues: bool) -> Part:
    """The final samples by temperature."""
    samples = [each for each in run.samples if each.continues is continues]
    samples.sort(key=_temperature)
    # Kinds whose outputs have no end (labels, tags) finish none, and cut none either.
    ends = any(each.continues or each.finished for each in samples)
    groups = [(known, list(group)) for known, group in groupby(samples, key=_temperature)]
    return {"groups": groups, "ends": ends} if samples else {}


def _temperature(sample: Sample) -> tuple[bool, float]:
    """Whether it is unknown, and what it is."""
    if sample.temperature is None or math.isnan(sample.temperature):
        return True, 0.0
    return False, sample.temperature


def align_tokens(sample: Sample) -> list[tuple[str, float | None]]:
    """The stretches of the sample's text, each with its probability where that is known."""
    stretches, log_probs = analyses.align(sample.text, sample.pieces), sample.log_probs
    if stretches is None or len(stretches) != len(log_probs):
        stretches, log_probs = [sample.text], [None]
    return [
        (stretch, None if log_prob is None or math.isnan(log_prob) else math.exp(min(log_prob, 0)))
        for stretch, log_prob in zip(stretches, log_probs, strict=True)
        if stretch
    ]


def first_candidates(sample: Sample) -> list[Candidate]:
    """The candidates for the first token that are worth showing."""
    if sample.continues:
        return sample.first[:10]
    if sample.temperature == 0:  # nothing but the likeliest could have been taken
        return []
    # Many of these stand one below the other.
    likely = [each for each in sample.first[:10] if (each.probability or 0.0) >= FAINT]
    return likely if len(likely) > 1 else []


def _errors(run: RunFiles) -> Part:
    """The wrong answers of the last held-out part: the worst, and some drawn at random."""
    if not run.answers:
        return {}
    measured, part = run.final_metrics
    unit = analyses.output_unit(run.answers, measured.metrics)
    wrong = [analyses.compare(each, unit) for each in run.answers if each.wrong]

    def rank(each: Compared) -> tuple[float, float]:
        score = each.answer.score or 0.0
        if unit is CLASSES:  # just right or wrong, so the worst mistake is the surest
            return -score, 0.0
        return -each.edits / max(each.size, 1), score

    drawn = random.Random(SEED).sample(wrong, min(DRAWN, len(wrong))) if len(wrong) > WORST else []
    worst = sorted(wrong, key=rank)[:WORST]
    return {"part": part, "unit": unit, "wrong": len(wrong), "worst": worst, "drawn": drawn}


def _lengths(run: RunFiles) -> Part:
    """Error rates by length, where there are several lengths and errors."""
    unit = analyses.output_unit(run.answers, run.final_metrics[0].metrics)
    source = analyses.source_unit(run.answers, unit)
    bins = analyses.errors_by_length(run.answers, source, unit)
    if len(bins) < 2 or not any(each.wrong for each in bins):
        return {}
    ends = [each.rate for each in bins]
    ends += [each.interval[1] for each in bins if each.answers >= FEW_ANSWERS]
    ends += [each.edit_rate for each in bins if unit is not CLASSES]
    # The share at which the bars end is a round one that no bar exceeds.
    round_shares = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
    scale = next((each for each in round_shares if each >= max(ends)), 1.0)
    return {"bins": bins, "source": source, "unit": unit, "scale": scale}


class _Details(BaseModel, defer_build=True):
    """What a metric may say of classes, or tags."""

    confusion: dict[str, dict[str, Annotated[int, Field(ge=0, lt=2**62)]]] = {}
    """Of each right class how often each came out."""
    classes: dict[str, dict[str, float | None]] = {}
    """Precision, recall, f1 and count of each."""


def _confusion(run: RunFiles) -> Part:
    """The confusion matrix and the scores of classes, of the first metrics that have them."""
    found = []
    for details in run.final_metrics[0].details.values():
        with suppress(ValidationError):  # a metric of a plugin may mean something else
            found.append(_Details.model_validate(details))
    matrix = next((each.confusion for each in found if any(each.confusion.values())), {})
    scores = next((each.classes for each in found if each.classes), {})
    often = Counter[str]()
    for right, row in matrix.items():
        for came, value in row.items():
            often[right] += value
            often[came] += value
    often = +often  # without those that were never counted
    labels = sorted(label for label, _ in often.most_common(CLASSES_SHOWN))
    ordered = sorted(scores.items(), key=lambda each: (-(each[1].get("count") or 0.0), each[0]))
    part = {"labels": labels, "matrix": matrix, "classes": len(often), "scores": ordered}
    return part if labels or scores else {}


def _results(run: RunFiles) -> Part:
    """What was measured on the validation and test data; of published metrics also how."""
    named = {"validation": run.result.valid, "test": run.result.test}
    parts = {name: part for name, part in named.items() if part}
    signatures = {
        name: str(details["signature"])
        for part in parts.values()
        for name, details in part.details.items()
        if isinstance(details, dict) and details.get("signature")
    }
    return {"parts": parts, "signatures": signatures} if parts else {}


def _manifest(run: RunFiles) -> Part:
    """All that is needed to repeat the run."""
    known = run.manifest.model_dump(exclude_unset=True)
    hidden = {"remarks", "tokenizer_files", "command"}
    rows = _flat({key: value for key, value in known.items() if key not in hidden})
    command = shlex.join(map(str, run.manifest.command))
    return {"command": command, "rows": list(rows)} if known else {}


def _flat(values: Mapping[str, Any], path: str = "", depth: int = 0) -> Iterator[tuple[str, str]]:
    for key, value in values.items():
        name = f"{path}{key}"
        if isinstance(value, dict) and value and depth < 8:
            prefix = "SHA-256 of " if name == "data" else f"{name}: "
            yield from _flat(value, prefix, depth + 1)
            continue
        counted = type(value) in {int, float} and key != "seed" and value % 1 == 0
        shown = format.count(value) if counted and abs(value) < 1e15 else str(value)
        yield name if path else name.replace("_", " "), shown


PARTS: Final[Mapping[str, Callable[[RunFiles], Part | Sequence[Any]]]] = {
    "curves": _curves,
    "learning": _learning,
    "temperatures": lambda run: _samples(run, continues=True),
    "samples": lambda run: _samples(run, continues=False),
    "attention": lambda run: run.attention,
    "errors": _errors,
    "lengths": _lengths,
    "confusion": _confusion,
    "results": _results,
    "recipe": lambda run: run.recipe.strip("\n"),
    "manifest": _manifest,
}
