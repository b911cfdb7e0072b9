"""Lines in, lines out: sources from a file or standard input, and how outputs are written."""

from __future__ import annotations

import json
import os
import re
import select
import stat
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from seqgen.cli.output import echo
from seqgen.data import TextFile, as_text, lines_of
from seqgen.errors import DataError
from seqgen.evaluate import unknown_remark
from seqgen.files import read_bytes
from seqgen.generate import Generated
from seqgen.trained import TrainedRun

STANDARD_INPUT = "standard input"

LONGEST = 1 << 20
"""The most characters of a line: each is a vector, or several, while the line is read."""

WAITING = 2.0
"""After so many seconds without a line, a message says that one is awaited."""

_BREAKS = re.compile("[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")
"""What ends a line, for any reader."""

_UNSAFE = {
    code: f"\\u{code:04x}"
    for code in (*range(0x7F, 0xA0), 0x200E, 0x200F, *range(0x2028, 0x202F), *range(0x2066, 0x206A))
}
"""What JSON would leave as it is although it ends a line, or acts on a terminal."""


class Source(NamedTuple):
    """A line by its number, from 1; `asked` says whether the model is asked about it."""

    number: int
    text: str
    asked: bool


@dataclass
class SourceLines:
    """The lines called `name`, as sources of a run; what it does not know of them is counted."""

    trained: TrainedRun
    name: str

    def __post_init__(self) -> None:
        self.data = self.trained.built.data
        self.unknown: Counter[str] = Counter()
        longest = self.trained.directory.record().get("longest")
        self.longest = longest if isinstance(longest, int) else None
        self.longer = 0

    def check(self, number: int, text: str) -> Source:
        """One line. An empty one is what the data says of such.

        Raises DataError, with the line, if it is no source.
        """
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
        tokenizers = self.trained.built.tokenizers
        try:
            length = int(self.data.prompts([text], tokenizers).lengths[0])
            self.unknown.update(self.data.unknown(text, tokenizers))
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
    """A text file, or standard input for `-`, and what errors call it. Raises DataError."""
    if str(path) != "-":
        return as_text(read_bytes(path, DataError, wanted="a text file"), str(path)), str(path)
    return as_text(_read(_stdin().read), STANDARD_INPUT), STANDARD_INPUT


def is_terminal() -> bool:
    """Whether someone types at standard input."""
    return sys.stdin is not None and sys.stdin.isatty()


def piped_lines() -> Iterator[str] | None:
    """The lines of standard input as they come; None if there are none: a terminal, a device such
    as /dev/null, and nothing at all have none. Raises DataError."""
    try:
        mode = os.fstat(sys.stdin.fileno()).st_mode
    except (AttributeError, OSError, ValueError):  # closed, or nothing that a program could read
        return None
    if not (stat.S_ISFIFO(mode) or stat.S_ISREG(mode) or stat.S_ISSOCK(mode)):
        return None
    lines = typed_lines()
    first = next(lines, None)
    return None if first is None else chain([first], lines)


def typed_lines() -> Iterator[str]:
    """The lines of standard input as they come. Raises DataError."""
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


def _say_if_nothing_comes() -> None:
    """Say on standard error that we wait for standard input, if it is a pipe without data."""
    try:
        ready, _, _ = select.select([sys.stdin], [], [], WAITING)
    except (OSError, ValueError):  # Windows does not say
        return
    if not ready:
        echo("reading standard input, a line each; --prompt TEXT or </dev/null if not", err=True)


def _stdin() -> BinaryIO:
    if sys.stdin is None:
        raise DataError(f"{STANDARD_INPUT}: closed")
    return sys.stdin.buffer


def _read(read: Callable[[], bytes]) -> bytes:
    try:
        return read()
    except OSError as error:
        raise DataError(f"{STANDARD_INPUT}: cannot be read: {error.strerror or error}") from None


Format = Callable[[Source, Sequence[Generated]], str]
"""Makes of a source and its outputs, of which there may be none, the lines that say them."""


def best_line(continues: bool, exact: bool = False) -> Format:
    """One line for each source: its best output, after the source if the data `continues`.

    What is `exact` keeps the line breaks of an output: for a person, who reads them as text.
    """

    def lines(source: Source, outputs: Sequence[Generated]) -> str:
        text = (source.text if continues else "") + (outputs[0].text if outputs else "")
        return (text if exact else one_line(text)) + "\n"

    return lines


def table(source: Source, outputs: Sequence[Generated]) -> str:
    """A line for each output: the number of the source's line, the rank of the output, both from 1,
    its log-probability and its text, with tabs between."""
    return "".join(
        f"{source.number}\t{rank}\t{each.hypothesis.score:.6f}\t{one_cell(each.text)}\n"
        for rank, each in enumerate(outputs, 1)
    )


def json_line(source: Source, outputs: Sequence[Generated]) -> str:
    """One object for each source."""
    found = [each.plain() for each in outputs]
    return json_text({"number": source.number, "source": source.text, "outputs": found})


def json_text(value: Any, indent: int | None = None) -> str:
    """A line of JSON, or several, in which nothing acts on a terminal."""
    return json.dumps(value, ensure_ascii=False, indent=indent).translate(_UNSAFE) + "\n"


def one_line(text: str) -> str:
    r"""The text with `\n` for a line break, and the like for all that a reader may take for one.

    A backslash in the text is not escaped; JSON output distinguishes the two.
    """
    return _BREAKS.sub(lambda found: found.group().encode("unicode_escape").decode(), text)


def one_cell(text: str) -> str:
    r"""The same, with `\t` for a tab."""
    return one_line(text).replace("\t", "\\t")
