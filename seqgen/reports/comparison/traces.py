"""A trace as a person reads it: the tree of a search, and outputs tinted by probability."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files

from seqgen.reports.alignment import align
from seqgen.reports.comparison.trace_candidates import (
    as_nats,
    chance,
    nats,
    of_path,
    popover,
    probability,
)
from seqgen.reports.comparison.trace_content import NOBODY, Output, Step, Told, told
from seqgen.reports.comparison.trace_tree import tree
from seqgen.reports.generated import swatches, tint
from seqgen.reports.quantities import counted
from seqgen.reports.text import as_attribute, as_html, beginning, token_label

MOST_OUTPUTS = 20
"""How many outputs are shown in full."""

MOST_TOKENS = 400
"""Of how many tokens of an output the candidates are shown."""

PROMPT_END = 300
"""How many characters of a prompt stand before what was made of it."""


def trace_html(trace: Mapping[str, object]) -> str:
    """What a search considered, kept and dropped, as HTML without a heading.

    A search that has given up paths is a tree, with its outputs below; one that has not, however
    many it followed, is its outputs, each token with what was considered in its place. The trace
    tells which it is, and nobody asks what the decoder is called.
    """
    content = told(trace)
    branching = bool(content.given_up())
    shown = content.outputs[:MOST_OUTPUTS]
    outputs = "".join(
        _output(content, each, number if len(content.outputs) > 1 else None, not branching)
        for number, each in enumerate(shown, 1)
    )
    more = len(content.outputs) - len(shown)
    rest = f'<p class="note">{counted(more, "more output")}.</p>' if more else ""
    return f'<div class="trace">{tree(content) if branching else ""}{outputs}{rest}</div>'


def about_traces() -> str:
    """How to read traces, for the beginning of a page or a section that has some."""
    return (
        '<p class="about-traces">A tint is the probability of a token as the search saw it, before '
        "any temperature: the stronger, the greater the surprise. Point at a token, or tap it, for "
        "what else was considered. In a tree a column is a step and a row a path, with the "
        "probability of the token and the log-probability of the path so far, in nats. The way to "
        "the first output is marked; a path that just ends was given up; dashed are the best "
        f"tokens that a step dropped.</p>{swatches()}"
    )


def style() -> str:
    """The style sheet of traces, which goes behind that of all reports."""
    return files("seqgen.reports.comparison").joinpath("traces.css").read_text(encoding="utf-8")


def _output(content: Told, output: Output, number: int | None, detailed: bool) -> str:
    prompt = ""
    if content.continues and content.input:
        left_out = "\u2026" if len(content.input) > PROMPT_END else ""
        prompt = f'<b class="prompt">{left_out}{as_html(content.input[-PROMPT_END:])}</b>'
    badge = "" if number is None else f"<u>{number}</u>"
    text = _tokens(content, output, detailed) or ("" if prompt else beginning(""))
    return (
        f'<div class="output">{badge}<div><div class="generated" dir="auto">{prompt}{text}</div>'
        f"{_note(content, output)}</div></div>"
    )


def _tokens(content: Told, output: Output, detailed: bool) -> str:
    """The text of an output in its tokens; behind it, where it is not made of them alone."""
    steps = content.steps(output)
    pieces = [each.token.token for each in steps]
    stretches = align(output.text, pieces)
    before = ""
    if stretches is None or not steps:
        stretches, before = [f"{piece} " for piece in pieces], f"{as_html(output.text)}\n"
    tokens = [
        _token(each, stretch, detailed and place < MOST_TOKENS)
        for place, (each, stretch) in enumerate(zip(steps, stretches, strict=True))
    ]
    return f"{before}{''.join(tokens)}".strip("\n")


def _token(step: Step, stretch: str, detailed: bool) -> str:
    token = step.token
    shade = f"t{tint(probability(token.log_prob))}"
    label = (
        _stretch(stretch) if stretch else f'<span class="mark">{token_label(token.token)}</span>'
    )
    if not detailed:
        title = as_attribute(f"{token.token} {chance(token.log_prob)}")
        return f'<span class="{shade}" title="{title}">{label}</span>'
    about = of_path(token, step.total)
    details = popover(about, "considered", step.considered, {token.token})
    return f'<span class="token {shade}" tabindex="0">{label}{details}</span>'


def _stretch(text: str) -> str:
    """Text in which a line end has something that can be tinted and pointed at."""
    return as_html(text).replace("\n", '<span class="code">\u21b5</span>\n')


def _note(content: Told, output: Output) -> str:
    parts = []
    if output.node != NOBODY:
        parts.append(counted(len(content.steps(output)), "token"))
    if output.log_prob is not None:
        parts.append(f"log-probability {nats(output.log_prob)}")
    if output.rank is not None:
        parts.append(f"ranked by {as_nats(output.rank)}")
    if output.finished is not None:
        parts.append("ended by the model" if output.finished else "no end token")
    if not output.complete:
        parts.append("the search gave up, so a better one may be missing")
    if not output.satisfied:
        parts.append("it does not satisfy all constraints")
    return f'<p class="note">{"; ".join(parts)}</p>' if parts else ""
