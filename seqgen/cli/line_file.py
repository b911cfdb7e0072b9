"""A file that is written line by line and put in place whole; `-` is standard output."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import BinaryIO

from seqgen.errors import SetupError
from seqgen.files import new_file
from seqgen.reports.text import visible

Write = Callable[[str], None]
"""Called with one or several whole lines, which anyone can read behind it."""


@contextmanager
def line_file(path: Path | None) -> Iterator[Write]:
    """A context that gives what writes to `path`, or to standard output where it is None or `-`.

    Lines go to `path.part`, which takes the place of `path` at the end. Where an error comes
    before, what there is stays under that name, with a warning. Errors: SetupError.
    """
    if path is None or str(path) == "-":
        yield _print
    elif _is_special(path):
        with _opened(path, path) as file:
            yield partial(_write, file, path)
    else:
        beside = path.with_name(f"{path.name}.part")
        with _opened(beside, path) as file:
            with _kept_in_part(file, beside):
                yield partial(_write, file, path)
            _in_place(beside, path)


def _is_special(path: Path) -> bool:
    """Whether it is there and no file: a pipe or a device, which nothing may take the place of."""
    try:
        return path.exists() and not path.is_file()
    except OSError as error:
        raise _unwritable(path, error) from None


@contextmanager
def _opened(path: Path, name: Path) -> Iterator[BinaryIO]:
    try:
        # What is being written is a file that was made anew; a pipe or a device is there already.
        file = path.open("wb", 0) if path == name else new_file(path, buffering=0)
    except OSError as error:
        raise _unwritable(name, error) from None
    with file:
        yield file


@contextmanager
def _kept_in_part(file: BinaryIO, beside: Path) -> Iterator[None]:
    try:
        yield
    except BaseException as error:
        if file.tell() and not isinstance(error, SetupError):
            warnings.warn(f"{beside} has the lines that were done", stacklevel=1)
        else:
            beside.unlink(missing_ok=True)
        raise


def _in_place(beside: Path, path: Path) -> None:
    try:
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
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


def _print(lines: str) -> None:
    """At a terminal nothing in them acts on it; elsewhere they are as they are, in UTF-8."""
    shown = visible(lines) if sys.stdout.isatty() else lines
    sys.stdout.buffer.write(shown.encode(errors="backslashreplace"))
    sys.stdout.buffer.flush()


def _unwritable(path: Path, error: OSError) -> SetupError:
    return SetupError(f"{path}: cannot be written: {error.strerror}")
