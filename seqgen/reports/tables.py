"""The numbers of a run as cards and tables: key figures, results, manifest."""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Callable, Iterator
from functools import partial

from seqgen.reports.fields import Record, as_number, items, number, record, string
from seqgen.reports.held_out import held_out
from seqgen.reports.measures import ARROWS, MEASURES, measure_value, metric_label, metric_value
from seqgen.reports.quantities import brief_count, count, duration, figure, percent
from seqgen.reports.run_files import RunFiles
from seqgen.reports.text import as_html


def cards(run: RunFiles) -> str:
    """The key figures, those that are known."""
    measured, of = held_out(run)
    seconds, speed = trained(run, "seconds"), trained(run, "tokens_per_second")
    metrics = record(measured, "metrics")
    # Where outputs are judged, what a letter costs says little beside it.
    usual = [
        (number(measured, "bits_per_char"), figure, "bits per character", of),
        (number(measured, "perplexity"), figure, "perplexity", of),
        (number(measured, "nats_per_token"), figure, "nats per token", of),
        (number(measured, "accuracy"), percent, "accuracy", of),
    ]
    judged: list[tuple[float | None, Callable[[float | None], str], str, str]] = [
        (number(metrics, name), partial(metric_value, name), metric_label(name), of)
        for name in metrics
    ]
    known = [
        *judged,
        *(usual[1:3] if metrics else usual),
        (seconds, duration, "training time", ""),
        (speed, brief_count, "tokens per second", "training"),
        (parameters(run), brief_count, "parameters", ""),
    ]
    shown = "".join(
        f"<li><b>{_units_small(written(value))}</b><span>{as_html(label)}</span>"
        f"<small>{note}</small></li>"
        for value, written, label, note in known
        if value is not None
    )
    return f'<ul class="cards">{shown}</ul>' if shown else ""


def _units_small(quantity: str) -> str:
    return re.sub(r"(?<=\d) ([a-zA-Z%]+)", r"<i> \1</i>", as_html(quantity))


def parameters(run: RunFiles) -> float | None:
    """How many parameters the model has, if any file says so."""
    known = number(run.result, "parameters")
    return known if known is not None else number(run.manifest, "parameters")


def trained(run: RunFiles, key: str) -> float | None:
    """A number about the training: the result's, or the last recorded where it is unfinished."""
    known = number(record(run.result, "train"), key)
    if known is None and not run.result and run.train:
        known = number(run.train[-1], "step" if key == "steps" else key)
    return known


def results(run: RunFiles) -> str:
    """The table of what was measured on the validation and test data."""
    valid, test = record(run.result, "valid"), record(run.result, "test")
    if not valid and not test:
        return ""
    columns = [(name, part) for name, part in (("validation", valid), ("test", test)) if part]
    head = "".join(f'<th scope="col">{name}</th>' for name, _ in columns)
    parts = [part for _, part in columns]
    rows = "".join((*_metric_rows(parts, record(run.result, "better")), *_measure_rows(parts)))
    return (
        '<div class="wide"><table class="numbers"><thead><tr><th scope="col">measure</th>'
        f"{head}</tr></thead><tbody>{rows}</tbody></table></div>"
        f'<p class="note">\u2193 lower is better, \u2191 higher is better</p>{_signatures(parts)}'
    )


def _metric_rows(parts: list[Record], better: Record) -> Iterator[str]:
    metrics = [record(part, "metrics") for part in parts]
    for name in dict.fromkeys(name for found in metrics for name in found):
        label = metric_label(name) + ARROWS.get(string(better, name), "")
        values = [metric_value(name, number(found, name)) for found in metrics]
        yield _results_row(label, values)


def _measure_rows(parts: list[Record]) -> Iterator[str]:
    named = {key for key, _, _ in MEASURES}
    others = dict.fromkeys(key for part in parts for key in part if key not in named)
    for key, label, better in (*MEASURES, *((key, key.replace("_", " "), "") for key in others)):
        values = [number(part, key) for part in parts]
        if any(value is not None for value in values):
            written = [measure_value(key, value) for value in values]
            yield _results_row(label + ARROWS.get(better, ""), written)


def _results_row(label: str, values: list[str]) -> str:
    cells = "".join(f"<td>{as_html(value)}</td>" for value in values)
    return f'<tr><th scope="row">{as_html(label)}</th>{cells}</tr>'


def _signatures(parts: list[Record]) -> str:
    """What belongs beside a metric that is published: how it was measured."""
    found = {
        name: signature
        for part in parts
        for name, each in record(part, "details").items()
        if isinstance(each, dict) and (signature := string(each, "signature"))
    }
    return "".join(
        f'<p class="note">{as_html(metric_label(name))}: <code>{as_html(signature)}</code></p>'
        for name, signature in found.items()
    )


def manifest(run: RunFiles) -> str:
    """All that is needed to repeat the run."""
    if not run.manifest:
        return ""
    command = items(run.manifest, "command")
    again = ""
    if command:
        line = shlex.join(str(part) for part in command)
        again = f'<p>The command line:</p><div class="listing">{as_html(line)}</div>'
    elsewhere = {"remarks", "tokenizer_files", *(["command"] if command else [])}
    rest = {key: value for key, value in run.manifest.items() if key not in elsewhere}
    rows = "".join(
        f'<tr><th scope="row">{as_html(name)}</th><td>{as_html(value)}</td></tr>'
        for name, value in _flat(rest)
    )
    return f'{again}<div class="wide"><table class="facts"><tbody>{rows}</tbody></table></div>'


def _flat(values: Record, path: str = "", depth: int = 0) -> Iterator[tuple[str, str]]:
    for key, value in values.items():
        name = f"{path}{key}"
        if isinstance(value, dict) and value and depth < 8:
            prefix = "SHA-256 of " if name == "data" else f"{name}: "
            yield from _flat(value, prefix, depth + 1)
        else:
            yield name.replace("_", " ") if not path else name, _written(key, value)


def _written(key: str, value: object) -> str:
    amount = as_number(value)
    if amount is None:
        return value if isinstance(value, str) else str(value)
    whole = math.isfinite(amount) and amount == int(amount)
    return str(value) if key == "seed" or not whole else count(amount)


def sentence(run: RunFiles) -> str:
    """The run in one sentence, as HTML."""
    size, steps, seconds = parameters(run), trained(run, "steps"), trained(run, "seconds")
    parts = [f"{count(size)} parameters"] if size is not None else []
    if steps is not None:
        parts.append(f"trained for {count(steps)} steps")
    if seconds is not None:
        device = string(run.manifest, "device")
        parts.append(f"{duration(seconds)} of training{' on ' + device if device else ''}")
    best = number(run.result, "best_step")
    if best is not None:
        parts.append(f"best at step {count(best)}")
    if not run.result:
        parts.append("not finished")
    elif stopped := string(run.result, "stopped"):
        parts.append(f"stopped: {stopped}")
    told = ", ".join(parts)
    return as_html(f"{told[:1].upper()}{told[1:]}.")
