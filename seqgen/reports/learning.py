"""Showing how a model learns: what it wrote at each validation, and how good it was."""

from __future__ import annotations

from seqgen.reports.fields import Record, finite, items, number, record, records, string
from seqgen.reports.generated import has_source, shown_text
from seqgen.reports.measures import metric_label, metric_value
from seqgen.reports.quantities import count, duration, figure
from seqgen.reports.run_files import RunFiles
from seqgen.reports.series import best_step
from seqgen.reports.text import as_html

SHOWN_AT_ONCE = 12


def learning(run: RunFiles) -> str:
    """The sample texts of the validations, in order."""
    shown = [event for event in run.valid if records(items(event, "samples"))]
    if not shown:
        return ""
    best = best_step(run)
    chosen = {round(i * (len(shown) - 1) / (SHOWN_AT_ONCE - 1)) for i in range(SHOWN_AT_ONCE)}
    first = [
        event
        for position, event in enumerate(shown)
        if position in chosen or number(event, "step") == best
    ]
    all_of_them = ""
    if len(first) < len(shown):
        all_of_them = (
            f"<details><summary>All {count(len(shown))} validations</summary>"
            f"{_validations(shown, best)}</details>"
        )
    told = "What the model wrote at each validation, from the same prompts."
    if all(has_source(sample) for event in first for sample in records(items(event, "samples"))):
        told = "What the model made of the same sources at each validation."
    return f"<p>{told}</p>{_validations(first, best)}{all_of_them}"


def _validations(shown: list[Record], best: float | None) -> str:
    entries = "".join(_validation(event, best) for event in shown)
    return f'<ol class="watch">{entries}</ol>'


def _validation(event: Record, best: float | None) -> str:
    texts = "".join(
        shown_text(sample, as_html(string(sample, "text")))
        for sample in records(items(event, "samples"))
    )
    seconds = finite(event, "seconds")
    after = f'<span class="when">{duration(seconds)}</span>' if seconds is not None else ""
    step, loss = number(event, "step"), number(event, "nats_per_token")
    badge = '<span class="badge">best</span>' if step == best else ""
    return (
        f'<li><div class="at"><b>step {count(step)}</b><span>{figure(loss)} nats</span>'
        f"{after}{badge}</div><div>{texts}{_metrics(event)}</div></li>"
    )


def _metrics(event: Record) -> str:
    found = record(event, "metrics")
    values = (f"{metric_label(name)} {metric_value(name, number(found, name))}" for name in found)
    return f'<p class="note">{as_html(", ".join(values))}</p>' if found else ""
