"""Standard output and error, for any text and any terminal, and files written line by line."""

from __future__ import annotations

import codecs
import io
import json
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import IO, BinaryIO

from seqgen.errors import SetupError, visible
from seqgen.files import new_file

CODES = "seqgen.codes"
"""How text is encoded that an encoding lacks: as codes that are valid in JSON, too."""

Write = Callable[[str], None]
"""Called with whole lines, which others can read as soon as it returns."""


def _codes(error: UnicodeError) -> tuple[str | bytes, int]:
    r"""`\u2192` for an arrow, `\ud83d\ude00` (UTF-16, as JSON has it) for what is beyond U+FFFF."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return json.dumps(error.object[error.start : error.end])[1:-1], error.end


codecs.register_error(CODES, _codes)


def prepare_streams() -> None:
    """Let standard output and error take any text, whatever encoding they have.

    A terminal keeps its encoding. A pipe or a file gets UTF-8, unless PYTHONIOENCODING names
    another. What the encoding lacks is written as codes. A stream that is closed goes nowhere.
    """
    named = os.environ.get("PYTHONIOENCODING", "").partition(":")[0]
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None or getattr(stream, "closed", False):
            nowhere = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
            setattr(sys, name, nowhere)
        elif isinstance(stream, io.TextIOWrapper):  # others, such as a notebook's, take any text
            encoding = None if named or stream.isatty() else "utf-8"
            newline = None if stream.isatty() else "\n"
            stream.reconfigure(encoding=encoding, errors=CODES, newline=newline)


def encodable(text: str, encoding: str) -> str:
    """The text with codes for what `encoding` lacks."""
    return text.encode(encoding, errors=CODES).decode(encoding)


def echo(text: str = "", end: str = "\n", *, err: bool = False) -> None:
    """A line on standard output or error, in which nothing acts on the terminal.

    Nothing is lost where standard error cannot be written, so that is no error.
    """
    stream = sys.stderr if err else sys.stdout
    with suppress(OSError) if err else nullcontext():
        stream.write(visible(text) + end)
        stream.flush()


def echo_exactly(lines: str) -> None:
    """Whole lines on standard output: exact on a pipe, while at a terminal nothing acts on it."""
    sys.stdout.write(visible(lines) if sys.stdout.isatty() else lines)
    sys.stdout.flush()


def let_go(stream: IO[str]) -> None:
    """Give up a stream that cannot be written, about which Python would complain at its exit."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


@contextmanager
def line_file(path: Path | None) -> Iterator[Write]:
    """Yields a function that writes lines to `path`, or to standard output if it is None or `-`.

    Lines go to `path.part`, which replaces `path` at the end. After an error the lines that were
    written stay under that name, with a warning. Raises SetupError if a file cannot be written.
    """
    if path is None or str(path) == "-":
        yield echo_exactly
        return
    try:
        # A pipe or a device is there already, and nothing may replace it.
        special = path.exists() and not path.is_file()
        temporary = path if special else path.with_name(f"{path.name}.part")
        file = path.open("wb", 0) if special else new_file(temporary, buffering=0)
    except OSError as error:
        raise _unwritable(path, error) from None
    with file:
        try:
            yield partial(_write, file, path)
        except BaseException as error:
            if not special and file.tell() and not isinstance(error, SetupError):
                warnings.warn(f"{temporary} has the lines that were done", stacklevel=1)
            elif not special:
                temporary.unlink(missing_ok=True)
            raise
    if not special:
        try:
            temporary.replace(path)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise _unwritable(path, error) from None


def _write(file: BinaryIO, name: Path, lines: str) -> None:
    left = memoryview(lines.encode(errors="backslashreplace"))
    try:
        while left:
            left = left[file.write(left) :]
    except BrokenPipeError:
        raise
    except OSError as error:
        raise _unwritable(name, error) from None


def _unwritable(path: Path, error: OSError) -> SetupError:
    return SetupError(f"{path}: cannot be written: {error.strerror}")
