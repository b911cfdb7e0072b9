"""How far a work is, or one after the other: a bar in a terminal, a few plain lines on a pipe."""

from __future__ import annotations

from typing import Any

from rich.progress import BarColumn, Progress, TextColumn

from seqgen.cli.terminal import Terminal

LINES = 20
"""How many lines a pipe gets over the whole of a work."""


class Advance:
    """What is shown while the work goes on; in a terminal it is gone when the work has ended."""

    def __init__(self, console: Terminal) -> None:
        self._console = console
        self._lines = 0
        self._bar: Progress | None = None
        self._task: Any = None

    def begin(self) -> None:
        """Show a bar, where there is a terminal."""
        if self._console.is_terminal:
            columns = (BarColumn(bar_width=None), TextColumn("{task.description}", markup=False))
            self._bar = Progress(*columns, console=self._console, transient=True)
            self._task = self._bar.add_task("starting", total=1.0)
            self._bar.start()

    def show(self, share: float, text: str) -> None:
        """Show that a `share` of the work is done, and what there is to say."""
        if self._bar is not None:
            self._bar.update(self._task, completed=share, description=self._console.shown(text))
            return
        if int(share * LINES) < self._lines - 1:  # the next work has begun
            self._lines = 0
        if share * LINES >= self._lines:
            self._console.say(f"{share:4.0%}  {text}")
            self._lines = int(share * LINES) + 1

    def end(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
