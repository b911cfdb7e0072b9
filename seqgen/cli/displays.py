"""What a terminal shows: progress bars, the events of a run, the table of a comparison."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import escape
from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.padding import PaddingDimensions
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from seqgen.cli.output import encodable, let_go
from seqgen.errors import visible
from seqgen.reports import count, counted, duration, figure

if TYPE_CHECKING:
    from seqgen.comparison import Document
    from seqgen.comparison import Progress as ComparisonProgress
    from seqgen.sweeps import Trial

LINES = 20
"""How many lines of progress a pipe gets over the whole of a work."""

COLUMN_GAP = 2
"""Spaces between two columns."""

NARROWEST = 16
"""The least room for labels; when there is no more, they are folded in the middle of a word."""


class Terminal(Console):
    """A console that falls silent when its reader has gone; the work goes on."""

    def shown(self, text: str) -> str:
        """The text as the console will show it: nothing acts on the terminal, and its encoding has
        all of it. Whoever measures text measures this."""
        return encodable(visible(text), self.encoding)

    def say(self, text: str, style: str = "") -> None:
        """Print a line."""
        self.print(Text(self.shown(text), style=style))

    def on_broken_pipe(self) -> None:
        self.quiet = True
        let_go(self.file)


class _NotebookBar:
    """A bar in an output of a notebook. That of rich is drawn by a thread, and swallows lines that
    are printed meanwhile."""

    def __init__(self) -> None:
        display: Any = import_module("IPython.display").display
        self._output = display({"text/plain": "starting"}, raw=True, display_id=True)

    def update(self, _: object, completed: float, description: str) -> None:
        bar = f'<progress max="1" value="{completed:.3f}"></progress> {escape(description)}'
        shown = {"text/html": bar, "text/plain": f"{completed:4.0%}  {description}"}
        self._output.update(shown, raw=True)

    def stop(self) -> None:
        self._output.update({"text/plain": ""}, raw=True)


class Display:
    """A context that shows work as it goes on: a bar in a terminal and in a notebook, a few plain
    lines on a pipe."""

    def __init__(self, *, to_stderr: bool = False) -> None:
        self._in_notebook = Console().is_jupyter
        never = False if self._in_notebook else None  # its output says that it is a terminal
        self.console = Terminal(
            stderr=to_stderr,
            highlight=False,
            soft_wrap=True,
            force_jupyter=never,
            force_terminal=never,
        )
        self._lines = 0
        self._bar: Progress | _NotebookBar | None = None
        self._task: Any = None

    def __enter__(self) -> Display:
        return self

    def __exit__(self, *error: object) -> None:
        self.end()

    def begin(self) -> None:
        """Show a bar, if there is a terminal or a notebook."""
        if self._in_notebook:
            self._bar = _NotebookBar()
        elif self.console.is_terminal:
            columns = (BarColumn(bar_width=None), TextColumn("{task.description}", markup=False))
            self._bar = Progress(*columns, console=self.console, transient=True)
            self._task = self._bar.add_task("starting", total=1.0)
            self._bar.start()

    def advance(self, share: float, text: str) -> None:
        """Show that a `share` of the work is done, and what there is to say."""
        if self._bar is not None:
            self._bar.update(self._task, completed=share, description=self.console.shown(text))
            return
        if int(share * LINES) < self._lines - 1:  # the next work has begun
            self._lines = 0
        if share * LINES >= self._lines:
            self.console.say(f"{share:4.0%}  {text}")
            self._lines = int(share * LINES) + 1

    def end(self) -> None:
        """Remove the bar."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def announce(self, plan: dict[str, Any]) -> None:
        """Say what a run will do."""
        say = self.console.say
        parts = [
            f"{name} {count(plan[f'{name}_tokens'])}"
            for name in ("train", "valid", "test")
            if f"{name}_tokens" in plan
        ]
        about = f": {plan['description']}" if plan["description"] else ""
        say(f"{plan['recipe']}{about}")
        say(f"  model   {count(plan['parameters'])} parameters, {plan['vocab_size']} tokens")
        say(f"  data    {', '.join(plan['data'])}: {', '.join(parts)} tokens")
        for remark in plan["remarks"]:
            say(f"  note    {remark}")
        threads = f"{plan['threads']} thread{'s' if plan['threads'] > 1 else ''}"
        processes = plan.get("processes", 1)
        several = f"{processes} processes, each with " * (processes > 1)
        say(f"  machine {plan['device']}, {several}{threads}, {plan['precision']}")
        for name, route in plan["fast"].items():
            say(f"  cell    {name}: {route}")
        say(f"  budget  {plan['budget']}")
        if plan["resumed_at"] is not None:
            say(f"  resumed at step {plan['resumed_at']}")
        self.begin()

    def event(self, event: dict[str, Any]) -> None:
        """Show one event of training."""
        if event["event"] == "train":
            progress = event["progress"]
            left = event["seconds"] * (1 - progress) / progress if progress else None
            text = (
                f"step {count(event['step'])}  loss {figure(event['loss'])}  "
                f"{count(event['tokens_per_second'])} tokens/s  {duration(left)} left"
            )
            self.advance(progress, text)
        elif event["event"] == "valid":
            mark = "  best" if event["best"] else ""
            self.console.say(
                f"step {count(event['step'])}  valid {figure(event['nats_per_token'])} "
                f"nats/token, {figure(event['bits_per_char'])} bits/char"
                f"{_metrics(event, ', ')}{mark}"
            )
            for sample in event["samples"]:
                between = "" if sample["continues"] else " \u2192 "
                text = f"{sample['prompt']}{between}{sample['text']}".replace("\n", "\u21b5")
                room = max(20, self.console.width - 4) if self.console.is_terminal else 100
                self.console.say(f"  {self.console.shown(text)[:room]}", style="dim")

    def conclude(self, result: dict[str, Any], folder: Path) -> None:
        """The figures at the end of a run, and where everything is."""
        self.end()
        train = result["train"]
        self.console.say(
            f"trained {count(train['steps'])} steps in {duration(train['seconds'])}, "
            f"{count(train['tokens_per_second'])} tokens/s; {result['stopped']}"
        )
        for name in ("valid", "test"):
            if name in result:
                figures = result[name]
                self.console.say(
                    f"  {name:5} {figure(figures['bits_per_char'])} bits/char, "
                    f"{figure(figures['nats_per_token'])} nats/token, perplexity "
                    f"{figure(figures['perplexity'])}, accuracy {figures['accuracy']:.1%}"
                )
                if "metrics" in figures:
                    self.console.say(f"        {_metrics(figures)} of {count(figures['examples'])}")
        self.console.say(f"report: {folder / 'report.html'}   samples: {folder / 'samples.txt'}")

    def trial_began(self, trial: Trial) -> None:
        """Say which trial of a sweep it is."""
        self.console.say(f"{trial.name}  {trial.label}")
        self.begin()

    def trial_event(self, event: dict[str, Any]) -> None:
        """Show in a terminal how far a trial is."""
        if event["event"] == "train" and self._bar is not None:
            text = f"step {count(event['step'])}  loss {figure(event['loss'])}"
            self.advance(event["progress"], text)

    def trial_ended(self, trial: Trial) -> None:
        """Say what became of it."""
        self.end()
        found = trial.reason if trial.status == "failed" else figure(trial.figure)
        self.console.say(f"  {trial.status}  {found}")

    def conclude_sweep(
        self, headers: Sequence[str], rows: Sequence[Sequence[str]], folder: Path
    ) -> None:
        """The table of trials, the best first, and where the chart is."""
        show_table(self.console, headers, rows)
        self.console.say(f"chart: {folder / 'sweep.png'}   trials: {folder / 'sweep.json'}")

    def compared(self, progress: ComparisonProgress) -> None:
        """Show what a comparison is doing."""
        self.advance(progress.done / max(1, progress.total), progress.text)

    def conclude_comparison(self, document: Document, folder: Path) -> None:
        """The table, which strategy to take and why, and where the report is."""
        from seqgen.comparison import PAGE, terminal_rows

        left_out = show_table(self.console, *terminal_rows(document))
        if left_out:
            columns = counted(left_out, "column")
            self.console.say(f"({columns} more than there is room for)", style="dim")
        if document.verdict.take:
            self.console.say(f"take: {document.verdict.take}", style="bold")
        for sentence in document.verdict.why:
            self.console.say(f"  {sentence}")
        self.console.say(f"report: {folder / PAGE}")


def plain_table(padding: PaddingDimensions = (0, 1)) -> Table:
    """A table of three columns without lines and titles, of which the last one is wrapped."""
    table = Table(box=None, pad_edge=False, show_header=False, padding=padding)
    for no_wrap in (True, True, False):
        table.add_column(no_wrap=no_wrap, overflow="fold")
    return table


def _metrics(figures: dict[str, Any], before: str = "") -> str:
    """What the recipe's metrics say, with `before` in front; nothing if there are none."""
    found = figures.get("metrics", {}).items()
    text = ", ".join(f"{name.replace('_', ' ')} {figure(value)}" for name, value in found)
    return f"{before}{text}" if text else ""


def show_table(console: Terminal, headers: Sequence[str], rows: Sequence[Sequence[str]]) -> int:
    """Print the table; returns how many of the last columns there was no room for.

    No number is folded or cut: titles and labels are folded at their spaces, and columns that do
    not fit are left out. A pipe has room for everything. If there is not even room for one column,
    its value is printed below each label.
    """
    headers = [console.shown(each) for each in headers]
    rows = [[console.shown(each) for each in row] for row in rows]
    labels, *columns = zip(headers, *rows, strict=True)
    label_width = max(map(cell_len, labels))
    # A column has room for its cells, and for the words of its title below one another.
    widths = [max(map(cell_len, [*title.split(), *cells])) for title, *cells in columns]
    if not console.is_terminal:
        console.width = label_width + sum(widths) + COLUMN_GAP * len(widths)
    longest_word = max(cell_len(word) for label in labels for word in label.split())
    least = min(label_width, max(longest_word, NARROWEST))
    shown = len(widths)
    while shown > 1 and least + sum(widths[:shown]) + COLUMN_GAP * shown > console.width:
        shown -= 1
    room = console.width - sum(widths[:shown]) - COLUMN_GAP * shown
    if room < min(label_width, NARROWEST):
        for label, cell, *_ in rows:
            console.say(label)
            console.say(f"  {headers[1]}: {cell}", style="dim")
        return len(widths) - shown
    # Between two columns there is one space of the box and the rest of padding.
    padding = (0, COLUMN_GAP - 1, 0, 0)
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=padding)
    table.add_column(Text(headers[0]), width=min(label_width, room), overflow="fold")
    for title, width in zip(headers[1 : shown + 1], widths, strict=False):
        table.add_column(Text(title), width=width, justify="right", overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row[: shown + 1]))
    console.print(table, soft_wrap=False)
    return len(widths) - shown
