"""Answering lines: those of a file many at a time, those that are typed at once."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from seqgen.answers import unsatisfied_remark
from seqgen.cli.line_formats import Format
from seqgen.cli.output import Write, echo, line_file
from seqgen.cli.source_lines import (
    STANDARD_INPUT,
    Source,
    SourceLines,
    is_terminal,
    read_lines,
)
from seqgen.cli.trace_file import Ask
from seqgen.data.tables import lines_of
from seqgen.decoders import Decoder
from seqgen.errors import DataError, RecipeError
from seqgen.generate import Generated
from seqgen.machine import memory_for
from seqgen.reports import count
from seqgen.trained import TrainedRun, cut_short_remark

LINES_AT_ONCE = 1000
"""How many lines of a file are answered before they are written."""


@dataclass
class Answering:
    """A run that answers lines by a decoder, `samples` times what it finds for each.

    `ask` is what asks it, its own `continuations` where there is none.
    """

    trained: TrainedRun
    decoder: Decoder
    form: Format
    max_length: int | None = None
    samples: int = 1
    ask: Ask | None = None
    outputs: int = 0
    cut_short: int = 0
    unsatisfied: int = 0

    def file(self, path: Path, output: Path | None) -> None:
        """Answer each line of a file, in their order. All are checked before one is answered."""
        file, name = read_lines(path)
        sources = SourceLines(self.trained, name)
        every = sources.every(lines_of(file.text))
        with line_file(output) as write, _progress(len(every), output) as show:
            for first in range(0, len(every), LINES_AT_ONCE):
                some = every[first : first + LINES_AT_ONCE]
                self._answer(some, write)
                show(first + len(some))
        self._warn(sources)

    def standard_input(self, lines: Iterable[str], output: Path | None) -> None:
        """Answer each line as it comes. At a terminal what is wrong with one is said there."""
        sources = SourceLines(self.trained, STANDARD_INPUT)
        at_terminal = is_terminal()
        if at_terminal:
            what = "prompt" if self.trained.built.data.continues else "source"
            echo(f"a {what} a line; Ctrl-D ends\n> ", end="", err=True)
        try:
            with line_file(output) as write:
                for number, text in enumerate(lines, 1):
                    try:
                        self._answer([sources.one(number, text)], write)
                    except DataError as error:
                        if not at_terminal:
                            raise
                        echo(str(error), err=True)
                    if at_terminal:
                        echo("> ", end="", err=True)
        finally:
            if at_terminal:  # what comes next, the shell's prompt or why it ended, has its own line
                echo(err=True)
        self._warn(sources)

    def _answer(self, sources: Sequence[Source], write: Write) -> None:
        asked = [each for each in sources if each.asked]
        found = iter(self._outputs(asked))
        lines = [self.form(each, next(found) if each.asked else []) for each in sources]
        write("".join(lines))

    def _outputs(self, sources: Sequence[Source]) -> list[list[Generated]]:
        texts, numbers = [each.text for each in sources], [each.number - 1 for each in sources]
        ask = self.ask or self.trained.continuations
        try:
            with memory_for("the outputs; a smaller evaluation.batch_size needs less"):
                found = ask(texts, self.decoder, self.max_length, self.samples, numbers)
        except ValueError as error:  # the texts are good, so it is what the decoder was told
            raise RecipeError(f"--decoder: {error}") from None
        flat = [each for own in found for each in own]
        self.outputs += len(flat)
        self.cut_short += sum(not each.hypothesis.complete for each in flat)
        self.unsatisfied += sum(not each.hypothesis.satisfied for each in flat)
        return found

    def _warn(self, sources: SourceLines) -> None:
        ours = (
            cut_short_remark(self.cut_short, self.outputs),
            unsatisfied_remark(self.unsatisfied, self.outputs),
        )
        for remark in (*sources.remarks(), *ours):
            if remark:
                warnings.warn(remark, stacklevel=1)


@contextmanager
def _progress(total: int, output: Path | None) -> Iterator[Callable[[int], None]]:
    """A context that gives what shows how many lines are done, at a terminal that has no lines."""
    lines_to_stdout = output is None or str(output) == "-"
    if not total or not sys.stderr.isatty() or (lines_to_stdout and sys.stdout.isatty()):
        yield lambda done: None
        return

    def show(done: int) -> None:
        echo(end="\r", err=True)
        echo(f"{count(done)} of {count(total)} lines", end="", err=True)

    try:
        yield show
    finally:
        echo(err=True)
