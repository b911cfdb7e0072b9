"""Files: read after a look at their kind and size, written whole or not at all, known by SHA-256.

A file that is read may come from anyone: a pipe or a device could keep us waiting for ever, and a
huge or endless one could take all memory. A file that is written is made anew (exclusive creation,
its mode by the umask) and renamed into its place, so nothing is ever written through a link and a
reader never sees half of it.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

from seqgen.errors import CheckpointError, SeqgenError, SetupError

TEMPORARY = re.compile(r"\.(.+?)(?:\.\d+)?\.tmp", re.DOTALL | re.ASCII)
"""The names of files that are being written; those of a process that was killed stay behind."""

OPTIONS_LIMIT = 1 << 20
"""Bytes of a recipe or a plan that are looked at: 1 MiB (`yaml_loader` reads less than that)."""

RECORD_LIMIT = 1 << 30
"""Bytes at most of a file of a run that is read as a whole, such as `answers.json`: 1 GiB."""

MAPPING_LIMIT = 1 << 26
"""Bytes at most of one that holds a mapping, such as `result.json`: 64 MiB."""


def read_bytes(
    path: Path, error: type[SeqgenError], *, limit: int | None = None, wanted: str = "a file"
) -> bytes:
    """What is in a regular file of at most `limit` bytes.

    Raises `error`, in one line, if there is no such file, if it is a directory, a pipe or a device,
    or if it holds more. `wanted` says what it should be.
    """
    with _regular_file(path, error, limit, wanted) as file:
        # The size may say nothing (files of /proc) or grow while it is read.
        content = file.read(-1 if limit is None else limit + 1)
    if limit is not None and len(content) > limit:
        raise error(_too_large(display_path(path), limit, wanted))
    return content


def sha256(
    path: Path, error: type[SeqgenError] = CheckpointError, *, limit: int | None = None
) -> str:
    """The SHA-256 of a regular file of at most `limit` bytes. Raises `error` as `read_bytes`."""
    with _regular_file(path, error, limit, "a file") as file:
        return hashlib.file_digest(cast(io.BufferedReader, file), "sha256").hexdigest()


@contextmanager
def _regular_file(
    path: Path, error: type[SeqgenError], limit: int | None, wanted: str
) -> Iterator[BinaryIO]:
    """A context that gives the open file, once its kind and its size have been looked at."""
    name = display_path(path)
    try:
        # Without O_NONBLOCK, opening a pipe waits for someone who writes into it.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | _BINARY)
    except OSError as fault:
        if os.path.isdir(path):  # noqa: PTH112  which Windows cannot open; takes any name
            raise error(f"{name}: this is a directory; {wanted} is needed") from None
        raise error(f"{name}: cannot be read: {_reason(fault)}") from None
    except ValueError:  # a NUL in the path
        raise error(f"{name}: not a path") from None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            what = "a directory" if stat.S_ISDIR(status.st_mode) else "not a regular file"
            raise error(f"{name}: this is {what}; {wanted} is needed")
        if limit is not None and status.st_size > limit:
            raise error(_too_large(name, limit, wanted))
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            yield file
    except OSError as fault:
        raise error(f"{name}: cannot be read: {_reason(fault)}") from None
    finally:
        os.close(descriptor)


def read_mapping(
    path: Path, error: type[SeqgenError] = CheckpointError, *, limit: int = RECORD_LIMIT
) -> dict[str, Any]:
    """The mapping in a JSON file of ours. Raises `error` if it is missing or damaged."""
    content = read_json(path, error, limit=limit)
    if not isinstance(content, dict):
        raise error(f"{display_path(path)}: damaged, it does not hold a mapping")
    return content


def read_json(
    path: Path, error: type[SeqgenError] = CheckpointError, *, limit: int = RECORD_LIMIT
) -> Any:
    """What a JSON file of ours holds. Raises `error` if it is missing or damaged."""
    if not os.path.lexists(path):
        raise error(f"{display_path(path)}: the file is missing")
    content = read_bytes(path, error, limit=limit)
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as fault:
        reason = " ".join(str(fault).split())
        raise error(f"{display_path(path)}: cannot be read: {reason}") from None


def write_file(path: Path, content: bytes | str) -> None:
    """Put a file in its place at once; what UTF-8 cannot say of a text is written as a code.

    Raises SetupError if that cannot be done; what was there before then stays.
    """
    if isinstance(content, str):
        content = content.encode("utf-8", errors="backslashreplace")
    try:
        with atomic_file(path) as file:
            file.write(content)
    except OSError as error:
        raise SetupError(f"{path}: cannot be written: {_reason(error)}") from error


@contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """A context that gives a new file, which takes the place of `path` at its end.

    It is on the disk before it has the name. Where an error comes before, nothing is left of it and
    `path` is as it was.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with new_file(temporary) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def new_file(path: Path, *, exclusive: bool = False, buffering: int = -1) -> BinaryIO:
    """A file that was made just now, open for writing, with the mode that the umask says.

    What has the name goes: a link, not what it points to. With `exclusive` that is a
    FileExistsError instead.
    """
    if not exclusive:
        path.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | _BINARY
    return os.fdopen(os.open(path, flags, 0o666), "wb", buffering)


def kind_of(path: Path) -> str:
    """What lies there: `file`, `folder`, `link`, or `other` (a pipe, a device). Raises OSError."""
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        return "link"
    return "file" if stat.S_ISREG(mode) else "folder" if stat.S_ISDIR(mode) else "other"


def written_as(name: str) -> str:
    """The name that a file will have whose temporary name `name` may be; any other as it is."""
    match = TEMPORARY.fullmatch(name)
    return match[1] if match else name


def display_path(path: Path) -> str:
    """The path on one line."""
    name = str(path)
    return name if name.isprintable() else repr(name)


_BINARY = getattr(os, "O_BINARY", 0)


def _reason(error: OSError) -> str:
    return os.strerror(error.errno) if error.errno else str(error)


def _too_large(name: str, limit: int, wanted: str) -> str:
    size = f"{limit >> 20} MiB" if limit >= 1 << 20 else f"{limit >> 10} KiB"
    return f"{name}: larger than {size}; {wanted} is needed"
