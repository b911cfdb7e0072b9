"""What a comparison shows in the terminal: how far it is, and its table and verdict at the end."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

from seqgen.cli.advance import Advance
from seqgen.cli.comparison_table import show_table
from seqgen.cli.terminal import Terminal
from seqgen.comparison import PAGE, Document, Progress, terminal_rows
from seqgen.reports import counted


class ComparisonDisplay:
    """A context that shows the work of a comparison as it goes on."""

    def __init__(self, *, to_stderr: bool = False) -> None:
        self.console = Terminal(stderr=to_stderr, highlight=False, soft_wrap=True)
        self._advance = Advance(self.console)

    def __enter__(self) -> ComparisonDisplay:
        self._advance.begin()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._advance.end()

    def watch(self, progress: Progress) -> None:
        """Show what is being done."""
        self._advance.show(progress.done / max(1, progress.total), progress.text)

    def conclude(self, document: Document, folder: Path) -> None:
        """The table, which strategy to take and why, and where the report lies."""
        left_out = show_table(self.console, *terminal_rows(document))
        if left_out:
            columns = counted(left_out, "column")
            self.console.say(f"({columns} more than there is room for)", style="dim")
        if document.verdict.take:
            self.console.say(f"take: {document.verdict.take}", style="bold")
        for sentence in document.verdict.why:
            self.console.say(f"  {sentence}")
        self.console.say(f"report: {folder / PAGE}")
