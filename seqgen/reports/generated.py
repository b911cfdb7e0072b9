"""Showing generated text: prompt or source, tinted tokens, cycle, first-token bars."""

from __future__ import annotations

import math
from itertools import groupby, pairwise

from seqgen.reports.alignment import align
from seqgen.reports.cycle import find_cycle
from seqgen.reports.fields import (
    Record,
    as_number,
    finite,
    items,
    number,
    records,
    string,
)
from seqgen.reports.quantities import count, counted, figure, percent
from seqgen.reports.run_files import RunFiles
from seqgen.reports.text import as_attribute, as_html, beginning, token_label

# A token's class is the number of these that its probability does not reach: t0 is untinted.
THRESHOLDS = (0.5, 0.2, 0.05, 0.01)
FAINT = 0.001
"""Candidates for the first token of an output that are less probable are not shown."""


def temperatures(run: RunFiles) -> str:
    """The final samples that continue a prompt, by temperature."""
    continued = [sample for sample in run.samples if not has_source(sample)]
    return _by_temperature(continued, 'The prompt is <b class="prompt">bold</b>.')


def of_sources(run: RunFiles) -> str:
    """The final samples that were made of a source, by temperature."""
    made = [sample for sample in run.samples if has_source(sample)]
    return _by_temperature(made, "The source stands above what was made of it.")


def has_source(sample: Record) -> bool:
    """Whether the text was made of the prompt, and does not continue it."""
    return sample.get("continues") is False


def _by_temperature(samples: list[Record], about_prompts: str) -> str:
    if not samples:
        return ""
    # Kinds whose outputs have no end (labels, tags) finish none, and cut none either.
    ends = any(not has_source(sample) or sample.get("finished") is True for sample in samples)
    ordered = sorted(samples, key=_temperature)
    groups = "".join(
        f'<div class="temperature"><h3>{_heading(temperature)}</h3>'
        f"{''.join(_sample(sample, ends) for sample in group)}</div>"
        for temperature, group in groupby(ordered, key=_temperature)
    )
    return f"{_legend(about_prompts)}{groups}"


def _temperature(sample: Record) -> float:
    temperature = finite(sample, "temperature")
    return math.inf if temperature is None else temperature


def _heading(temperature: float) -> str:
    if temperature == 0:
        return "Greedy <small>temperature 0: always the likeliest token</small>"
    if temperature == math.inf:
        return "Temperature not recorded"
    return f"Temperature {temperature:g}"


def _legend(about_prompts: str) -> str:
    return (
        "<p>The model's own probability of each token, before any temperature: the stronger the "
        f"tint, the greater the surprise. {about_prompts}</p>{swatches()}"
    )


def swatches() -> str:
    """What each tint says of a token's probability."""
    limits = [f"{100 * limit:g}" for limit in THRESHOLDS]
    between = [f"{low} to {high} %" for high, low in pairwise(limits)]
    names = [f"{limits[0]} % or more", *between, f"under {limits[-1]} %"]
    shown = "".join(f'<li class="t{i}">{name}</li>' for i, name in enumerate(names))
    return f'<ul class="legend" aria-label="probability of a token">{shown}</ul>'


def tint(probability: float) -> int:
    """The number of a token's class: the smaller the probability, the higher."""
    return sum(probability < limit for limit in THRESHOLDS)


def _sample(sample: Record, ends: bool) -> str:
    text, of_source = string(sample, "text"), has_source(sample)
    cycle = "" if of_source else _cycle_line(text)
    # What is always the likeliest has no other candidates that could be shown.
    first = "" if of_source and _temperature(sample) == 0 else _first_token(sample)
    whole = "" if first or not of_source else " whole"
    return (
        f'<div class="sample{whole}"><div>{shown_text(sample, _tinted(sample, text))}'
        f"{cycle}{_ending(sample, ends)}</div>{first}</div>"
    )


def shown_text(sample: Record, text: str) -> str:
    """A prompt and what came of it, `text` as HTML: one text, or a source and its output."""
    prompt = string(sample, "prompt")
    if has_source(sample):
        return (
            f'<div class="generated source" dir="auto">{beginning(prompt)}</div>'
            f'<div class="made"><span aria-hidden="true">\u2192</span>'
            f'<div class="generated" dir="auto">{text or beginning("")}</div></div>'
        )
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
    title = as_attribute(percent(probability))
    return f'<span class="t{tint(probability)}" title="{title}">{as_html(text)}</span>'


def _cycle_line(text: str) -> str:
    cycle = find_cycle(text)
    if cycle is None:
        return ""
    every = "character" if len(cycle.unit) == 1 else f"{count(len(cycle.unit))} characters"
    return (
        f'<p class="cycle">repeats <code>{token_label(cycle.unit)}</code> every {every} '
        f"from character {count(cycle.start + 1)} on</p>"
    )


def _ending(sample: Record, ends: bool) -> str:
    known = [value for value in map(as_number, items(sample, "log_probs")) if value is not None]
    parts = []
    if len(known) == 1 and not ends:
        parts.append(f"probability {percent(math.exp(min(known[0], 0.0)))}")
    elif known:
        mean = sum(known) / len(known)
        parts.append(
            f"{counted(len(known), 'token')}, {figure(-mean if mean else 0.0)} nats per token"
        )
    if ends and isinstance(sample.get("finished"), bool):
        finished = sample["finished"]
        parts.append("ended by the model" if finished else "cut at the length limit")
    return f'<p class="note">{"; ".join(parts)}</p>' if parts else ""


def _first_token(sample: Record) -> str:
    candidates = records(items(sample, "first"))[:10]
    if has_source(sample):  # many of these stand one under the other
        candidates = [each for each in candidates if (number(each, "probability") or 0.0) >= FAINT]
    bars = "".join(map(_bar, candidates))
    if not bars or (has_source(sample) and len(candidates) == 1):
        return ""
    prompt = "" if has_source(sample) else string(sample, "prompt")
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
