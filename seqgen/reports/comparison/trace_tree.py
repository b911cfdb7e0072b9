"""The tree of a search: a column a step, a row a path, and what was dropped on the way."""

from __future__ import annotations

from seqgen.reports.comparison.trace_candidates import (
    as_nats,
    chance,
    of_path,
    popover,
    probability,
)
from seqgen.reports.comparison.trace_cells import MOST_STEPS, Drawn, cells_of, in_order
from seqgen.reports.comparison.trace_content import Told
from seqgen.reports.comparison.tree_layout import rows_of
from seqgen.reports.generated import tint
from seqgen.reports.quantities import counted
from seqgen.reports.text import token_label


def tree(told: Told) -> str:
    """The tree as HTML, in a box that scrolls, and in a sentence what is not drawn."""
    cells = cells_of(told)
    rows = rows_of(in_order(cells))
    steps = max(each.column for each in cells)
    heads = "".join(f'<b style="grid-area: 1 / {2 * k + 1}">{k}</b>' for k in range(1, steps + 1))
    links = "".join(
        _link(each, rows[each.parent], rows[place])
        for place, each in enumerate(cells)
        if each.column
    )
    shown = "".join(_cell(each, rows[place]) for place, each in enumerate(cells))
    return (
        '<div class="search"><div class="tree" role="group" '
        f'aria-label="tree of the search, {counted(steps, "step")}">'
        f'<div class="branches">{heads}{links}{shown}</div></div></div>'
        f"{_not_drawn(told, sum(each.kind == 'kept' for each in cells))}"
    )


def _link(cell: Drawn, above: int, row: int) -> str:
    """The line from the parent's row to the cell's, in the gap before the cell's column."""
    top, bottom = sorted((above, row))
    where = f"grid-area: {top + 2} / {2 * cell.column} / {bottom + 3}"
    if above == row:
        return f'<i class="{_class(cell)}" style="{where}"></i>'
    path = "M0 0C.7 0 .3 1 1 1" if row > above else "M0 1C.7 1 .3 0 1 0"
    return (
        f'<svg class="{_class(cell)}" style="{where}" viewBox="0 0 1 1" '
        f'preserveAspectRatio="none" aria-hidden="true"><path d="{path}"/></svg>'
    )


def _cell(cell: Drawn, row: int) -> str:
    where = f"grid-area: {row + 2} / {2 * cell.column + 1}"
    label = f'<code dir="auto">{token_label(cell.token.token)}</code>'
    if not cell.column:
        details = popover("", "considered first", cell.considered, cell.kept)
        return f'<div class="cell start" style="{where}" tabindex="0">{label}{details}</div>'
    numbers = ", ".join(map(str, cell.outputs))
    badge = f'<u title="output {numbers}">{numbers}</u>' if cell.outputs else ""
    shade = "" if cell.kind == "dropped" else f" t{tint(probability(cell.token.log_prob))}"
    about = of_path(cell.token, cell.total)
    return (
        f'<div class="cell {_class(cell)}{shade}" style="{where}" tabindex="0">'
        f"<span>{label}{badge}</span>"
        f"<small>{chance(cell.token.log_prob)} <em>{as_nats(cell.total)}</em></small>"
        f"{popover(about, 'considered next', cell.considered, cell.kept)}</div>"
    )


def _class(cell: Drawn) -> str:
    return f"{cell.kind} won" if cell.best == 1 else cell.kind


def _not_drawn(told: Told, drawn: int) -> str:
    """What is lacking in the picture, in a sentence."""
    lacking = len(told.nodes) - drawn + told.left_out
    deep = any(each.depth >= MOST_STEPS for each in told.nodes)
    parts = []
    if lacking:
        parts.append(f"{counted(lacking, 'path')} that the search has followed")
    if deep:
        parts.append(f"what comes behind step {MOST_STEPS}")
    return f'<p class="note">Not drawn: {" and ".join(parts)}.</p>' if parts else ""
