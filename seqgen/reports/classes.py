"""Showing how well classes, or tags, are told apart: the confusion matrix, scores of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Final, TypeAlias

from seqgen.reports.fields import Record, finite, record
from seqgen.reports.held_out import concluded
from seqgen.reports.quantities import count, percent
from seqgen.reports.run_files import RunFiles
from seqgen.reports.text import as_attribute, as_html

Matrix: TypeAlias = Mapping[str, Mapping[str, int]]

MOST: Final = 30
"""How many classes the matrix shows, and how many rows of the scores stand open."""
SCORES: Final = ("precision", "recall", "f1")


def confusion(run: RunFiles) -> str:
    """Of the first metric that knows it."""
    measured, _ = concluded(run)
    details = [each for each in record(measured, "details").values() if isinstance(each, dict)]
    matrices, scores = map(_matrix, details), (record(each, "classes") for each in details)
    return _matrix_table(next(filter(None, matrices), {})) + _scores(next(filter(None, scores), {}))


def _matrix(details: Record) -> Matrix:
    """The counts above zero, whatever else may stand there."""
    found = {}
    for right, row in record(details, "confusion").items():
        counts = row if isinstance(row, dict) else {}
        known = {came: finite(counts, came) or 0.0 for came in counts}
        found[right] = {came: int(value) for came, value in known.items() if value >= 1}
    return found if any(found.values()) else {}


def _matrix_table(matrix: Matrix) -> str:
    if not matrix:
        return ""
    often = Counter[str]()
    for right, row in matrix.items():
        for came, value in row.items():
            often[right] += value
            often[came] += value
    most = {label for label, _ in often.most_common(MOST)}
    shown = sorted(most)
    cut = (
        "" if len(often) <= MOST else f" Of {count(len(often))} the {MOST} most frequent are here."
    )
    head = "".join(
        f'<th scope="col" title="{as_attribute(label)}"><span>{_label(label)}</span></th>'
        for label in shown
    )
    rows = "".join(_row(right, matrix.get(right, {}), shown) for right in shown if right in matrix)
    return (
        "<p>A row for what was right, a column for what came out. The colour is the share of the "
        f'row: <span class="cell hit">right</span>, <span class="cell miss">wrong</span>.{cut}</p>'
        '<div class="wide" tabindex="0"><table class="matrix"><thead><tr>'
        f"<td></td>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _row(right: str, row: Mapping[str, int], shown: list[str]) -> str:
    total = sum(row.values())
    cells = "".join(_cell(right, came, row.get(came, 0), total) for came in shown)
    name = f'<th scope="row" title="{as_attribute(right)}"><span>{_label(right)}</span></th>'
    return f"<tr>{name}{cells}</tr>"


def _cell(right: str, came: str, value: int, total: int) -> str:
    if not value:
        return "<td></td>"
    kind = "hit" if right == came else "miss"
    part = value / total
    share = f"{count(value)} of {count(total)}, {percent(part)}"
    told = f"{right or '(none)'} \u2192 {came or '(none)'}: {share}"
    return (
        f'<td class="{kind}" style="--share: {part:.3f}" title="{as_attribute(told)}">'
        f"{count(value)}</td>"
    )


def _label(name: str) -> str:
    return as_html(name) if name else '<span class="code">(none)</span>'


def _scores(scores: Record) -> str:
    known = {name: record(scores, name) for name in scores if record(scores, name)}
    if not known:
        return ""
    ordered = sorted(known, key=lambda name: (-(finite(known[name], "count") or 0.0), name))
    rows = ["".join(_scores_row(name, known[name])) for name in ordered]
    table = _table(rows[:MOST])
    if len(rows) > MOST:
        more = _table(rows[MOST:])
        table += f"<details><summary>{count(len(rows) - MOST)} more</summary>{more}</details>"
    return f"<h3>Scores of each</h3>{table}"


def _table(rows: list[str]) -> str:
    head = "".join(
        f'<th scope="col">{name}</th>' for name in ("precision", "recall", "F1", "count")
    )
    return (
        '<div class="wide"><table class="numbers"><thead><tr><th scope="col">right</th>'
        f"{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def _scores_row(name: str, scores: Record) -> str:
    cells = "".join(f"<td>{as_html(percent(finite(scores, key)))}</td>" for key in SCORES)
    return (
        f'<tr><th scope="row">{_label(name)}</th>{cells}'
        f"<td>{count(finite(scores, 'count'))}</td></tr>"
    )
