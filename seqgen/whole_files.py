"""Files that are there whole or not at all, whatever happens while they are written."""

from __future__ import annotations

import os
from pathlib import Path

from seqgen.errors import SetupError


def write_whole(path: Path, content: bytes | str) -> None:
    """Put the file in its place at once; what UTF-8 cannot say of a text is written as a code.

    Errors: SetupError.
    """
    if isinstance(content, str):
        content = content.encode("utf-8", errors="backslashreplace")
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        try:
            beside.write_bytes(content)
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        raise SetupError(f"{path}: cannot be written: {error.strerror}") from error
