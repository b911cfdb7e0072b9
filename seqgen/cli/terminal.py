"""The terminal, or the pipe, that output goes to."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from seqgen.cli.output import encodable, let_go
from seqgen.reports import visible


class Terminal(Console):
    """A console that falls silent when nobody reads it any more: the work itself goes on."""

    def shown(self, text: str) -> str:
        """The text as it will stand there: nothing acts on the terminal, nothing is lacking in its
        encoding. Whoever measures text measures this one."""
        return encodable(visible(text), self.encoding)

    def say(self, text: str, style: str = "") -> None:
        """Print a line."""
        self.print(Text(self.shown(text), style=style))

    def on_broken_pipe(self) -> None:
        """Let go of the pipe."""
        self.quiet = True
        let_go(self.file)
