"""Files: kind and size are checked before reading, and writes are atomic.

A file that is read may come from anyone: a pipe or a device could block forever, and a huge or
endless one could take all memory. A file that is written is created anew (exclusively, with the
mode of the umask) and renamed into place, so nothing is ever written through a link and a reader
never sees half of it.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import stat
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, cast

from seqgen.errors import CheckpointError, SeqgenError, SetupError

TEMPORARY = re.compile(r"\.(.+?)(?:\.\d+)?\.tmp", re.DOTALL | re.ASCII)
"""The names of files while they are written; a killed process leaves its own."""

OPTIONS_LIMIT = 1 << 20
"""The largest recipe or plan that is opened, in bytes: 1 MiB (`yaml_io` accepts less than that)."""

RECORD_LIMIT = 1 << 30
"""The largest file of a run that is read whole, such as `answers.json`, in bytes: 1 GiB."""

MAPPING_LIMIT = 1 << 26
"""The largest file of a run that holds a mapping, such as `result.json`, in bytes: 64 MiB."""


def read_bytes(
    path: Path, error: type[SeqgenError], *, limit: int | None = None, wanted: str = "a file"
) -> bytes:
    """The content of a regular file of at most `limit` bytes.

    Raises `error`, in one line, if there is no such file, if it is a directory, a pipe or a device,
    or if it is larger. `wanted` says what it should be.
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
    """The SHA-256 of a regular file of at most `limit` bytes. Raises `error` like `read_bytes`."""
    with _regular_file(path, error, limit, "a file") as file:
        return hashlib.file_digest(cast(io.BufferedReader, file), "sha256").hexdigest()


@contextmanager
def _regular_file(
    path: Path, error: type[SeqgenError], limit: int | None, wanted: str
) -> Iterator[BinaryIO]:
    """Yields the open file once its kind and its size have been checked."""
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
    """Replace a file in one step; a lone surrogate in a text is written as an escape code.

    Raises SetupError if it cannot be written; the old file is then left as it was.
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
    """Yields a new file that replaces `path` at the end of the context.

    It is flushed to disk before it is renamed. After an error nothing is left of it, and `path` is
    as it was.
    """
    temporary = temporary_name(path)
    try:
        with new_file(temporary) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def new_file(path: Path, *, exclusive: bool = False, buffering: int = -1) -> BinaryIO:
    """Create a file and open it for writing, with the mode of the umask.

    Whatever has the name is removed first: a link, not its target. With `exclusive` it raises
    FileExistsError instead.
    """
    if not exclusive:
        path.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | _BINARY
    return os.fdopen(os.open(path, flags, 0o666), "wb", buffering)


def kind_of(path: Path) -> str:
    """What `path` is: `file`, `folder`, `link`, or `other` (a pipe, a device). Raises OSError."""
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        return "link"
    return "file" if stat.S_ISREG(mode) else "folder" if stat.S_ISDIR(mode) else "other"


def temporary_name(path: Path) -> Path:
    """The name under which this process writes the file or folder before it is whole."""
    return path.with_name(f".{path.name}.{os.getpid()}.tmp")


def cache_folder() -> Path:
    """Where files are kept that can be made or fetched again: $SEQGEN_CACHE, or `seqgen` in the
    user's cache folder. Raises SetupError if there is none."""
    if own := os.environ.get("SEQGEN_CACHE"):
        return Path(own)
    if general := os.environ.get("XDG_CACHE_HOME"):
        return Path(general) / "seqgen"
    try:
        return Path.home() / ".cache" / "seqgen"
    except RuntimeError:
        raise SetupError("no home folder to keep files in; set SEQGEN_CACHE=FOLDER") from None


CACHE_LIMIT, CACHE_DAYS = 4 << 30, 30
"""How many bytes, and for how many days after it was used last, a folder of the cache keeps."""


@contextmanager
def cache_file(path: Path) -> Iterator[BinaryIO]:
    """As `atomic_file`, for a file in a folder of the cache, which is swept afterwards.

    While the folder has more than CACHE_LIMIT bytes, those files go that nobody has read or written
    for CACHE_DAYS, the oldest first. Who has one open keeps it.
    """
    with atomic_file(path) as file:
        yield file
    with suppress(OSError):  # other processes sweep, too, and nothing depends on it
        every = [(each, each.lstat()) for each in path.parent.rglob("*") if each.is_file()]
        total = sum(status.st_size for _, status in every)
        used = {each: max(status.st_atime, status.st_mtime) for each, status in every}
        for each, status in sorted(every, key=lambda pair: used[pair[0]]):
            if total <= CACHE_LIMIT or used[each] > time.time() - CACHE_DAYS * 86_400:
                break
            each.unlink()
            total -= status.st_size


def written_as(name: str) -> str:
    """The final name of a file whose temporary name is `name`; any other name unchanged."""
    match = TEMPORARY.fullmatch(name)
    return match[1] if match else name


def check_unoccupied(folder: Path, kind: str, foreign: Sequence[str], *, ours: bool) -> None:
    """Raises SetupError unless only a run, a comparison, ... (`kind`) has written into `folder`.

    `ours` says whether the folder has one, `foreign` which names in it do not belong to one.
    """
    if not ours:
        raise SetupError(f"{folder}: not empty and not a {kind}; choose another with --out")
    if foreign:
        names = ", ".join(foreign[:4]) + (f" and {len(foreign) - 4} more" if foreign[4:] else "")
        raise SetupError(
            f"{folder}: holds what no {kind} wrote: {names}; move it away (only the files of a "
            f"{kind} are removed), or choose another with --out"
        )


def display_path(path: Path) -> str:
    """The path on one line."""
    name = str(path)
    return name if name.isprintable() else repr(name)


def local_path(path: Path) -> str:
    """The path relative to the current folder if it is below it, else the path."""
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)


_BINARY = getattr(os, "O_BINARY", 0)


def _reason(error: OSError) -> str:
    return os.strerror(error.errno) if error.errno else str(error)


def _too_large(name: str, limit: int, wanted: str) -> str:
    size = f"{limit >> 20} MiB" if limit >= 1 << 20 else f"{limit >> 10} KiB"
    return f"{name}: larger than {size}; {wanted} is needed"
