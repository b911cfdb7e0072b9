"""Search errors and model errors: what the strategies missed of the most probable outputs."""

from __future__ import annotations

from collections.abc import Sequence

from seqgen.reports.comparison.document import Comparison, by_run
from seqgen.reports.comparison.measures import Measure, in_words, written
from seqgen.reports.comparison.rows import header
from seqgen.reports.fields import Record, finite, items, number, record, records, string
from seqgen.reports.quantities import count, figure, percent, share
from seqgen.reports.text import as_html


def search(comparison: Comparison) -> str:
    """The section, empty where it was not measured."""
    part = record(comparison.content, "search")
    runs = by_run(part)
    if not runs:
        return ""
    about = (
        "<p>A wrong output is a <b>search error</b> where the model gives a reference more "
        "probability than what the strategy found: a better search would help. It is a "
        "<b>model error</b> where the model likes the wrong output at least as well: no search "
        "helps, and a better one may harm. The most probable output of all is known where "
        "<code>exact</code> finished within its budget; missed is how often another output was "
        "found, the gap is how much less probable that is. Quality is that on these inputs.</p>"
    )
    several = len(runs) > 1
    parts = "".join(
        (f"<h3>{as_html(string(run, 'run'))}</h3>" if several else "")
        + f'<ul class="said">{_listed(in_sentences(comparison, run))}</ul>'
        + _table(comparison, run)
        for run in runs
    )
    return about + parts


def _listed(sentences: Sequence[str]) -> str:
    return "".join(f"<li>{as_html(each)}</li>" for each in sentences)


def in_sentences(comparison: Comparison, run: Record) -> list[str]:
    """What is known of the most probable outputs of a run, as sentences."""
    part = record(comparison.content, "search")
    certain, inputs = number(run, "certain"), number(part, "inputs")
    said = []
    if certain is not None:
        of = f" of {count(inputs)}" if inputs is not None else ""
        budget = number(part, "max_nodes")
        within = f" within {count(budget)} nodes" if budget is not None else ""
        said.append(f"The most probable output was found for {count(certain)}{of} inputs{within}.")
    right, beats = finite(run, "best_is_reference"), finite(run, "best_beats_reference")
    if right is not None:
        sentence = f"It is a reference for {percent(right)} of them"
        if beats is not None:
            sentence += f", and for {percent(beats)} the model prefers it to every reference"
        said.append(f"{sentence}.")
    for name in record(run, "quality_of_best"):
        measure = comparison.measures.get(name)
        value = finite(record(run, "quality_of_best"), name)
        if measure is not None and value is not None:
            shown = in_words(measure, value)
            said.append(f"The {measure.title} of the most probable outputs is {shown}.")
    empty = record(run, "empty")
    mean, best = finite(empty, "mean_probability"), finite(empty, "best")
    if mean is not None:
        sentence = f"The empty output has a probability of {percent(mean)} on average"
        if best is not None:
            often = f"for {percent(best)} of the inputs" if best else "for none"
            sentence += f", and is the most probable one {often}"
        said.append(f"{sentence}.")
    reachable = number(run, "reference_reachable")
    if reachable is not None and reachable != inputs:
        of = f" of {count(inputs)}" if inputs is not None else ""
        said.append(f"The model can say a reference at all for {count(reachable)}{of} inputs.")
    return said


def search_columns(comparison: Comparison, run: Record) -> list[Measure]:
    """The measures of quality that were taken on these inputs alone."""
    systems = records(items(run, "systems"))
    names = {name for each in systems for name in record(each, "quality")}
    return [each for each in comparison.measures.values() if each.name in names]


def search_headers(columns: Sequence[Measure]) -> list[str]:
    """What stands over the cells of `search_row`."""
    return ["most probable missed", "mean gap, nats", "largest gap, nats", *map(header, columns)]


def search_row(system: Record, columns: Sequence[Measure]) -> list[str]:
    """What the table says of a system, as text: missed, mean gap, largest gap, qualities."""
    qualities = [written(each, finite(record(system, "quality"), each.name)) for each in columns]
    gaps = [figure(finite(system, key)) for key in ("mean_gap", "largest_gap")]
    return [share(finite(system, "missed")), *gaps, *qualities]


def _table(comparison: Comparison, run: Record) -> str:
    systems = records(items(run, "systems"))
    if not systems:
        return ""
    columns = search_columns(comparison, run)
    names = ["strategy", *search_headers(columns)]
    head = "".join(f'<th scope="col">{as_html(name)}</th>' for name in names)
    most = max(_share(each, "wrong") or 0.0 for each in systems)
    rows = "".join(
        f'<tr><th scope="row">{as_html(string(each, "label"))}</th>'
        + "".join(f"<td>{as_html(cell)}</td>" for cell in search_row(each, columns))
        + f"<td>{_wrong(each, most)}</td></tr>"
        for each in systems
    )
    return (
        '<div class="wide" tabindex="0"><table class="search"><thead><tr>'
        f'{head}<th scope="col">wrong: <mark class="missed">search error</mark> '
        f'<mark class="wrong">model error</mark></th></tr></thead><tbody>{rows}</tbody>'
        "</table></div>"
    )


def _wrong(system: Record, most: float) -> str:
    """The share of outputs that are wrong, and a bar of why they are, which `most` would fill."""
    errors = [_share(system, key) or 0.0 for key in ("search_errors", "model_errors")]
    said = f"<span>{as_html(share(_share(system, 'wrong')))}</span>"
    if not most:
        return f'<span class="stacked">{said}</span>'
    names = ("search error", "model error")
    parts = "".join(
        f'<i class="{name.replace(" ", "-")}" style="width: {100 * part / most:.1f}%"></i>'
        for name, part in zip(names, errors, strict=True)
    )
    title = ", ".join(f"{name} {share(part)}" for name, part in zip(names, errors, strict=True))
    return f'<span class="stacked" title="{title}">{said}<span class="bar">{parts}</span></span>'


def _share(system: Record, key: str) -> float | None:
    """What part of all outputs that is."""
    part, every = finite(system, key), finite(system, "outputs")
    return part / every if part is not None and every else None
