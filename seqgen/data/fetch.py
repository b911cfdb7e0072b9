"""Fetching a file whose size and hash are known: it comes whole and right, or not at all."""

from __future__ import annotations

import hashlib
import http.client
import os
import secrets
import urllib.error
import urllib.request
from collections.abc import Callable, Generator
from contextlib import closing, suppress
from pathlib import Path
from typing import NoReturn

from seqgen.errors import DataError, SetupError

TIMEOUT_SECONDS = 30.0
_CHUNK_BYTES = 64 * 1024
_INSTEAD = "a local file can be given instead: data.path=FILE"


def fetch(
    url: str,
    sha256: str,
    size: int,
    destination: Path,
    on_progress: Callable[[int, int], None] | None = None,
) -> None:
    """Download `url` to `destination`, checked; what is there is replaced only by the right file.

    `on_progress(bytes_so_far, size)` is called as the bytes come.

    Errors: DataError where the file does not come, or is another one; SetupError where it cannot
    be written.
    """
    part = destination.with_name(f".{destination.name}.{secrets.token_hex(4)}.part")
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        with part.open("xb") as file, closing(_chunks(url, size)) as chunks:
            found = hashlib.sha256()
            for chunk in chunks:
                found.update(chunk)
                file.write(chunk)
                if on_progress is not None:
                    on_progress(file.tell(), size)
            _check_hash(url, found.hexdigest(), sha256)
            file.flush()
            os.fsync(file.fileno())
        part.replace(destination)
    except OSError as error:  # network faults are DataErrors already
        raise SetupError(f"{destination}: cannot be written: {_reason(error)}") from None
    finally:
        with suppress(OSError):  # its folder is not there or not ours, which has been said
            part.unlink(missing_ok=True)


def cache_folder() -> Path:
    """Where fetched files are kept: $SEQGEN_CACHE, or `seqgen` in the user's cache folder."""
    own = os.environ.get("SEQGEN_CACHE")
    if own:
        return Path(own)
    general = os.environ.get("XDG_CACHE_HOME")
    if general:
        return Path(general) / "seqgen"
    try:
        return Path.home() / ".cache" / "seqgen"
    except RuntimeError:
        raise SetupError("no home folder to keep files in; set SEQGEN_CACHE=FOLDER") from None


def _chunks(url: str, size: int) -> Generator[bytes, None, None]:
    """The body of `url`, which must be `size` bytes long. Errors: DataError."""
    got = 0
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as response:
            announced = response.headers.get("Content-Length") or ""
            if announced.isdecimal() and int(announced) > size:
                _refuse(url, f"larger than expected ({announced} bytes instead of {size})")
            # One byte more than expected is enough to know that it is too large.
            while chunk := response.read(min(_CHUNK_BYTES, size + 1 - got)):
                got += len(chunk)
                if got > size:
                    _refuse(url, f"larger than expected (more than {size} bytes)")
                yield chunk
    except urllib.error.HTTPError as error:
        error.close()
        _refuse(url, f"the server answered {error.code} {error.reason}")
    except http.client.IncompleteRead as error:
        got += len(error.partial)
    except (OSError, http.client.HTTPException, ValueError) as error:
        _refuse(url, f"cannot be fetched: {_reason(error)}")
    if got < size:
        _refuse(url, f"cut short (got {got} of {size} bytes)")


def _check_hash(url: str, found: str, expected: str) -> None:
    if found != expected:
        message = f"another file than expected (SHA-256 {found[:16]}... instead of "
        _refuse(url, f"{message}{expected[:16]}...)")


def _refuse(url: str, message: str) -> NoReturn:
    raise DataError(f"{url}: {message}; {_INSTEAD}")


def _reason(error: Exception) -> str:
    """Why, in a few words on one line."""
    inner = error.reason if isinstance(error, urllib.error.URLError) else error
    text = inner.strerror if isinstance(inner, OSError) and inner.strerror else str(inner)
    return " ".join(text.split()) or type(inner).__name__
