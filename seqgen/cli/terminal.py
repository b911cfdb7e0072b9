"""The terminal, or the pipe, that output goes to."""

from __future__ import annotations

import os

from rich.console import Console
from rich.text import Text

from seqgen.reports.text import visible


class Terminal(Console):
    """A console that falls silent when nobody reads it any more: the work itself goes on."""

    def say(self, text: str, style: str = "") -> None:
        """Print a line, in which nothing acts on the terminal."""
        self.print(Text(visible(text), style=style))

    def on_broken_pipe(self) -> None:
        """Let go of the pipe, which Python would complain about at its exit."""
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), self.file.fileno())
