"""The table of a comparison in a terminal: as many whole columns as there is room for."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from seqgen.cli.terminal import Terminal

BETWEEN = 2
"""Spaces between two columns."""

NARROWEST = 16
"""The least room for labels, which are folded in the middle of a word then."""


def show_table(console: Terminal, headers: Sequence[str], rows: Sequence[Sequence[str]]) -> int:
    """Print the table; returns how many columns there was no room for, the last ones.

    No number is folded or cut: titles and labels are folded at their spaces, and columns that do
    not fit are left out. What is no terminal has room for everything; where there is not even room
    for one column, its value stands below each label.
    """
    headers = [console.shown(each) for each in headers]
    rows = [[console.shown(each) for each in row] for row in rows]
    columns = list(zip(headers, *rows, strict=True))
    labels = max(map(cell_len, columns[0]))
    widths = [_width(column) for column in columns[1:]]
    if not console.is_terminal:
        console.width = labels + sum(widths) + BETWEEN * len(widths)
    longest = max(cell_len(word) for label in columns[0] for word in label.split())
    least = min(labels, max(longest, NARROWEST))
    shown = len(widths)
    while shown > 1 and least + sum(widths[:shown]) + BETWEEN * shown > console.width:
        shown -= 1
    room = console.width - sum(widths[:shown]) - BETWEEN * shown
    if room < min(labels, NARROWEST):
        for label, cell, *_ in rows:
            console.say(label)
            console.say(f"  {headers[1]}: {cell}", style="dim")
        return len(widths) - shown
    # Between two columns there is one space of the box and the rest of padding.
    padding = (0, BETWEEN - 1, 0, 0)
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=padding)
    table.add_column(Text(headers[0]), width=min(labels, room), overflow="fold")
    for title, width in zip(headers[1 : shown + 1], widths, strict=False):
        table.add_column(Text(title), width=width, justify="right", overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row[: shown + 1]))
    console.print(table, soft_wrap=False)
    return len(widths) - shown


def _width(column: Sequence[str]) -> int:
    """The room for a column's cells, and for the words of its title below one another."""
    title, *cells = column
    return max(map(cell_len, [*title.split(), *cells]))
