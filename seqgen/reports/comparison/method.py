"""How a comparison was made: on what, by which rules, with which runs and settings."""

from __future__ import annotations

import json
from collections.abc import Iterator

from seqgen.reports.comparison.document import Comparison
from seqgen.reports.comparison.verdict import inputs_in_words
from seqgen.reports.fields import Record, finite, items, number, record, records, string
from seqgen.reports.quantities import count, counted
from seqgen.reports.text import as_html


def method(comparison: Comparison) -> str:
    """The section: sentences, the measures, the runs, the strategies in full, the plan."""
    said = "".join(f"<li>{as_html(each)}</li>" for each in in_sentences(comparison))
    return (
        f'<ul class="said">{said}</ul>{_measures(comparison)}{_runs(comparison)}'
        f"{_decoders(comparison)}{_plan(comparison)}"
    )


def in_sentences(comparison: Comparison) -> list[str]:
    """How everything was measured, as sentences of plain text."""
    return [
        f"All strategies decoded {inputs_in_words(comparison)}.",
        *_outputs(comparison),
        *_significance(comparison),
        *_timings(record(comparison.content, "timings")),
        *_versions(comparison),
    ]


def _outputs(comparison: Comparison) -> Iterator[str]:
    plan = record(comparison.content, "plan")
    samples = number(plan, "samples")
    if samples is not None and samples > 1:
        yield (
            f"Each gave {count(samples)} outputs for an input; quality is that of the best of "
            "them, diversity that of all."
        )
    systems = records(items(comparison.content, "systems"))
    seeds = max((len(items(each, "seeds")) for each in systems), default=0)
    if seeds > 1:
        yield (
            f"Strategies that draw at random did so with {seeds} seeds; their values are the means "
            "over these."
        )
    if string(plan, "precision") != "single":
        yield (
            "Values were computed in double precision, so that no output depends on what else was "
            "in its batch; the same command with the same seed gives the same values."
        )
    unit = string(plan, "unit")
    if unit:
        yield f"Diversity counts {unit}."


def _significance(comparison: Comparison) -> Iterator[str]:
    options = record(record(comparison.content, "plan"), "significance")
    level, resamples = finite(options, "level"), number(options, "resamples")
    if level is not None and resamples is not None:
        yield (
            f"Intervals at {100 * level:.4g} % are from {count(resamples)} bootstrap samples of "
            "the inputs."
        )
    shuffles = number(options, "shuffles")
    if shuffles is not None and any(row.changes for row in comparison.rows):
        yield (
            f"Differences from {comparison.baseline} were tested on the same inputs by "
            f"approximate randomisation with {count(shuffles)} shuffles; p is corrected for the "
            "number of strategies by Holm's method."
        )


def _timings(timings: Record) -> Iterator[str]:
    if not timings:
        yield "Nothing was timed."
        return
    inputs, batch = number(timings, "inputs"), number(timings, "batch_size")
    repeats, warm_ups = number(timings, "repeats"), number(timings, "warm_ups")
    threads = number(timings, "threads")
    on = string(timings, "device") or "this machine"
    if threads is not None:
        on += f" with {counted(round(threads), 'thread')}"
    precision = string(timings, "precision")
    said = f"Speed is that of the run's own precision{' (' + precision + ')' if precision else ''}"
    said += f", on {on}"
    if inputs is not None and batch is not None:
        said += f", for {counted(round(inputs), 'input')} in batches of {count(batch)}"
    if repeats is not None and warm_ups is not None:
        said += (
            f": the median of {counted(round(repeats), 'repeat')} after "
            f"{counted(round(warm_ups), 'warm-up')}, the strategies in turn"
        )
    yield f"{said}."


def _versions(comparison: Comparison) -> Iterator[str]:
    version, seed = string(comparison.content, "seqgen"), number(comparison.content, "seed")
    if version:
        begun = f", from seed {seed:.0f} on" if seed is not None else ""
        yield f"Made by seqgen {version}{begun}."


def _measures(comparison: Comparison) -> str:
    rows = "".join(
        f'<tr><th scope="row">{as_html(each.title)}{as_html(each.arrow)}</th>'
        f"<td>{as_html(each.about)}</td></tr>"
        for each in comparison.measures.values()
        if each.about
    )
    return _folded("What each measure is", _facts(rows)) if rows else ""


def _runs(comparison: Comparison) -> str:
    tables = ""
    for run in records(items(comparison.content, "runs")):
        facts = [
            ("recipe", string(run, "recipe")),
            ("description", string(run, "description")),
            ("parameters", count(number(run, "parameters"))),
            ("SHA-256 of the weights", string(run, "weights")),
            *(
                (f"SHA-256 of {name}", string(record(run, "data"), name))
                for name in record(run, "data")
            ),
        ]
        rows = "".join(
            f'<tr><th scope="row">{as_html(name)}</th><td>{as_html(value)}</td></tr>'
            for name, value in facts
            if value
        )
        tables += f"<h3>{as_html(string(run, 'name'))}</h3>{_facts(rows)}"
    return _folded("The runs", tables) if tables else ""


def _decoders(comparison: Comparison) -> str:
    rows = "".join(
        f'<tr><th scope="row">{as_html(row.label)}</th>'
        f"<td><code>{as_html(json.dumps(row.decoder, ensure_ascii=False))}</code></td></tr>"
        for row in comparison.rows
        if row.decoder
    )
    return _folded("The strategies with all their options", _facts(rows)) if rows else ""


def _plan(comparison: Comparison) -> str:
    plan = record(comparison.content, "plan")
    if not plan:
        return ""
    text = json.dumps(plan, indent=2, ensure_ascii=False)
    return _folded("The plan", f'<div class="listing">{as_html(text)}</div>')


def _folded(title: str, inner: str) -> str:
    return f"<details><summary>{title}</summary>{inner}</details>"


def _facts(rows: str) -> str:
    return f'<div class="wide"><table class="facts"><tbody>{rows}</tbody></table></div>'
