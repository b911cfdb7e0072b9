"""Showing generated text: prompt, tokens tinted by probability, cycle, first-token bars."""

from __future__ import annotations

import math
from itertools import groupby, pairwise

from seqgen.reports.alignment import align
from seqgen.reports.cycle import find_cycle
from seqgen.reports.fields import Record, as_number, finite, items, number, records, string
from seqgen.reports.quantities import count, duration, figure, percent
from seqgen.reports.run_files import RunFiles
from seqgen.reports.series import best_step
from seqgen.reports.text import as_attribute, as_html, token_label

# A token's class is the number of these that its probability does not reach: t0 is untinted.
THRESHOLDS = (0.5, 0.2, 0.05, 0.01)
SHOWN_AT_ONCE = 12


def learning(run: RunFiles) -> str:
    """The sample texts of the validations, in order."""
    shown = [record for record in run.valid if records(items(record, "samples"))]
    if not shown:
        return ""
    best = best_step(run)
    chosen = {round(i * (len(shown) - 1) / (SHOWN_AT_ONCE - 1)) for i in range(SHOWN_AT_ONCE)}
    first = [
        record
        for position, record in enumerate(shown)
        if position in chosen or number(record, "step") == best
    ]
    all_of_them = ""
    if len(first) < len(shown):
        all_of_them = (
            f"<details><summary>All {count(len(shown))} validations</summary>"
            f"{_validations(shown, best)}</details>"
        )
    return (
        "<p>What the model wrote at each validation, from the same prompts.</p>"
        f"{_validations(first, best)}{all_of_them}"
    )


def _validations(shown: list[Record], best: float | None) -> str:
    entries = (_validation(record, best) for record in shown)
    return f'<ol class="watch">{"".join(entries)}</ol>'


def _validation(record: Record, best: float | None) -> str:
    texts = "".join(
        _generated(sample, as_html(string(sample, "text")))
        for sample in records(items(record, "samples"))
    )
    seconds = finite(record, "seconds")
    after = f'<span class="when">{duration(seconds)}</span>' if seconds is not None else ""
    step, loss = number(record, "step"), number(record, "nats_per_token")
    badge = '<span class="badge">best</span>' if step == best else ""
    return (
        f'<li><div class="at"><b>step {count(step)}</b>'
        f"<span>{figure(loss)} nats</span>{after}{badge}</div><div>{texts}</div></li>"
    )


def temperatures(run: RunFiles) -> str:
    """The final samples by temperature."""
    if not run.samples:
        return ""
    ordered = sorted(run.samples, key=_temperature)
    groups = "".join(
        f'<div class="temperature"><h3>{_heading(temperature)}</h3>'
        f"{''.join(_sample(sample) for sample in group)}</div>"
        for temperature, group in groupby(ordered, key=_temperature)
    )
    return f"{_legend()}{groups}"


def _temperature(sample: Record) -> float:
    temperature = finite(sample, "temperature")
    return math.inf if temperature is None else temperature


def _heading(temperature: float) -> str:
    if temperature == 0:
        return "Greedy <small>temperature 0: always the likeliest token</small>"
    if temperature == math.inf:
        return "Temperature not recorded"
    return f"Temperature {temperature:g}"


def _legend() -> str:
    limits = [f"{100 * limit:g}" for limit in THRESHOLDS]
    between = [f"{low} to {high} %" for high, low in pairwise(limits)]
    names = [f"{limits[0]} % or more", *between, f"under {limits[-1]} %"]
    swatches = "".join(f'<li class="t{i}">{name}</li>' for i, name in enumerate(names))
    return (
        "<p>The model's own probability of each token, before any temperature: the stronger the "
        f'tint, the greater the surprise. The prompt is <b class="prompt">bold</b>.</p>'
        f'<ul class="legend" aria-label="probability of a token">{swatches}</ul>'
    )


def _sample(sample: Record) -> str:
    text = string(sample, "text")
    return (
        f'<div class="sample"><div>{_generated(sample, _tinted(sample, text))}'
        f"{_cycle_line(text)}{_ending(sample)}</div>{_first_token(sample)}</div>"
    )


def _generated(sample: Record, text: str) -> str:
    prompt = string(sample, "prompt")
    emphasised = f'<b class="prompt">{as_html(prompt)}</b>' if prompt else ""
    return f'<div class="generated" dir="auto">{emphasised}{text}</div>'


def _tinted(sample: Record, text: str) -> str:
    pieces = [piece if isinstance(piece, str) else "" for piece in items(sample, "pieces")]
    log_probs = [as_number(value) for value in items(sample, "log_probs")]
    stretches = align(text, pieces) if len(pieces) == len(log_probs) else None
    if stretches is None:
        return as_html(text)
    return "".join(
        _token(stretch, log_prob)
        for stretch, log_prob in zip(stretches, log_probs, strict=True)
        if stretch
    )


def _token(text: str, log_prob: float | None) -> str:
    if log_prob is None or math.isnan(log_prob):
        return as_html(text)
    probability = math.exp(min(log_prob, 0.0))
    tint = sum(probability < limit for limit in THRESHOLDS)
    return (
        f'<span class="t{tint}" title="{as_attribute(percent(probability))}">{as_html(text)}</span>'
    )


def _cycle_line(text: str) -> str:
    cycle = find_cycle(text)
    if cycle is None:
        return ""
    every = "character" if len(cycle.unit) == 1 else f"{count(len(cycle.unit))} characters"
    return (
        f'<p class="cycle">repeats <code>{token_label(cycle.unit)}</code> every {every} '
        f"from character {count(cycle.start + 1)} on</p>"
    )


def _ending(sample: Record) -> str:
    known = [value for value in map(as_number, items(sample, "log_probs")) if value is not None]
    parts = []
    if known:
        mean = sum(known) / len(known)
        parts.append(f"{count(len(known))} tokens, {figure(-mean if mean else 0.0)} nats per token")
    if isinstance(sample.get("finished"), bool):
        finished = sample["finished"]
        parts.append("ended by the model" if finished else "cut at the length limit")
    return f'<p class="note">{"; ".join(parts)}</p>' if parts else ""


def _first_token(sample: Record) -> str:
    bars = "".join(_bar(candidate) for candidate in records(items(sample, "first"))[:10])
    if not bars:
        return ""
    prompt = string(sample, "prompt")
    end = prompt if len(prompt) <= 30 else f"\u2026{prompt[-29:]}"
    title = f"First token after <code>{token_label(end)}</code>" if prompt else "First token"
    return f'<div class="first"><h4>{title}</h4><ul class="bars">{bars}</ul></div>'


def _bar(candidate: Record) -> str:
    probability = number(candidate, "probability")
    share = min(max(probability, 0.0), 1.0) if probability is not None else 0.0
    width = f"{100 * share:.2f}" if math.isfinite(share) else "0"
    return (
        f"<li><code>{token_label(string(candidate, 'token'))}</code>"
        f'<span class="bar"><i style="width: {width}%"></i></span>'
        f"<span>{as_html(percent(probability))}</span></li>"
    )
