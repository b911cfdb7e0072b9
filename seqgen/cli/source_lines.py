"""Lines as sources: those of a file or of standard input, each checked before it is answered."""

from __future__ import annotations

import os
import select
import stat
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import BinaryIO, NamedTuple

from seqgen.cli.output import echo
from seqgen.data.tables import lines_of
from seqgen.data.text_files import TextFile, as_text
from seqgen.errors import DataError
from seqgen.files import read_bytes
from seqgen.trained import TrainedRun, unknown_remark

STANDARD_INPUT = "standard input"

LONGEST = 1 << 20
"""The most characters of a line: each is a vector, or several, while the line is read."""

WAITING = 2.0
"""After so many seconds without a line it is said that one is waited for."""


class Source(NamedTuple):
    """A line by its number, from 1; `asked` says whether the model is asked about it."""

    number: int
    text: str
    asked: bool


class SourceLines:
    """The lines called `name`, as sources of a run; what it does not know of them is counted."""

    def __init__(self, trained: TrainedRun, name: str) -> None:
        self.data, self.tokenizers = trained.built.data, trained.built.tokenizers
        self.name = name
        self.unknown: Counter[str] = Counter()
        longest = trained.directory.record().get("longest")
        self.longest = longest if isinstance(longest, int) else None
        self.longer = 0

    def every(self, lines: Sequence[str]) -> list[Source]:
        """All lines. Errors: DataError for the first one that is wrong."""
        return [self.one(number, text) for number, text in enumerate(lines, 1)]

    def one(self, number: int, text: str) -> Source:
        """One line. An empty one is what the data says of such. Errors: DataError with the line."""
        if not self.data.continues and self.data.empty != "keep" and not text.strip():
            if self.data.empty == "error":
                raise DataError(
                    f"{self.name}:{number}: the source is empty (data.empty=drop answers it with "
                    "an empty line, data.empty=keep asks the model)"
                )
            return Source(number, text, asked=False)
        if len(text) > LONGEST:
            found = f"the line has {len(text)} characters, of which at most {LONGEST} can be read"
            raise DataError(f"{self.name}:{number}: {found}")
        try:
            length = int(self.data.prompts([text], self.tokenizers).lengths[0])
            self.unknown.update(self.data.unknown(text, self.tokenizers))
        except (ValueError, DataError) as error:
            raise DataError(f"{self.name}:{number}: {error}") from None
        if self.longest is not None and not self.data.continues:
            self.longer += length > self.longest
        return Source(number, text, asked=True)

    def remarks(self) -> list[str]:
        """What was unknown, and what was longer than anything in training, in sentences."""
        unknown = unknown_remark(self.unknown, "prompts" if self.data.continues else "sources")
        longer = f"{self.longer} source{' is' if self.longer == 1 else 's are'} longer than any "
        longer += f"in training, which have up to {self.longest} tokens"
        return [unknown] * bool(unknown) + [longer] * bool(self.longer)


def read_lines(path: Path) -> tuple[TextFile, str]:
    """A text file, or standard input for `-`, and what errors call it. Errors: DataError."""
    if str(path) != "-":
        return as_text(read_bytes(path, DataError, wanted="a text file"), str(path)), str(path)
    return as_text(_read(_stdin().read), STANDARD_INPUT), STANDARD_INPUT


def is_terminal() -> bool:
    """Whether someone types at standard input."""
    return sys.stdin is not None and sys.stdin.isatty()


def piped_lines() -> Iterator[str] | None:
    """The lines of standard input as they come, None where there are none: a terminal, a device
    such as /dev/null, and nothing at all have none. Errors: DataError."""
    try:
        mode = os.fstat(sys.stdin.fileno()).st_mode
    except (AttributeError, OSError, ValueError):  # closed, or nothing that a program could read
        return None
    if not (stat.S_ISFIFO(mode) or stat.S_ISREG(mode) or stat.S_ISSOCK(mode)):
        return None
    lines = typed_lines()
    first = next(lines, None)
    return None if first is None else chain([first], lines)


def _say_if_nothing_comes() -> None:
    """Who started us with a pipe that nobody writes to shall know what we wait for."""
    try:
        ready, _, _ = select.select([sys.stdin], [], [], WAITING)
    except (OSError, ValueError):  # Windows cannot tell
        return
    if not ready:
        echo("reading standard input, a line each; --prompt TEXT or </dev/null if not", err=True)


def typed_lines() -> Iterator[str]:
    """The lines of standard input as they come. Errors: DataError."""
    stdin = _stdin()
    if not is_terminal():
        _say_if_nothing_comes()
    number = 1
    while raw := _read(stdin.readline):
        try:
            text = raw.decode()
        except UnicodeDecodeError as error:
            at = f"byte {error.start} of the line"
            raise DataError(f"{STANDARD_INPUT}:{number}: invalid UTF-8 at {at}") from None
        text = text.removeprefix("\ufeff") if number == 1 else text
        for line in lines_of(text.replace("\r\n", "\n").replace("\r", "\n")):
            yield line
            number += 1


def _stdin() -> BinaryIO:
    if sys.stdin is None:
        raise DataError(f"{STANDARD_INPUT}: closed")
    return sys.stdin.buffer


def _read(read: Callable[[], bytes]) -> bytes:
    try:
        return read()
    except OSError as error:
        raise DataError(f"{STANDARD_INPUT}: cannot be read: {error.strerror or error}") from None
