"""The log of a run, `metrics.jsonl`: one JSON object a line, in the order of the steps."""

from __future__ import annotations

import json
import os
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

from seqgen.errors import CheckpointError, SetupError
from seqgen.files import RECORD_LIMIT, read_bytes, write_file
from seqgen.plain_values import for_json

Event = dict[str, Any]


class MetricsLog:
    """Appends events to a file. A full disk stops the log with a warning, never the training."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: TextIO | None = os.fdopen(_open_to_append(path), "a", encoding="utf-8")

    def __call__(self, event: Event) -> None:
        """Write one event; numbers that JSON cannot hold are written as null."""
        if self._file is None:
            return
        try:
            self._file.write(json.dumps(for_json(event), ensure_ascii=False) + "\n")
            self._file.flush()
        except OSError as error:
            self.close()
            warnings.warn(f"{self.path}: {error.strerror}; no further metrics", stacklevel=2)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            with suppress(OSError):  # it tries again to write what it has not written
                self._file.close()
            self._file = None


def _open_to_append(path: Path) -> int:
    """A file descriptor. What is a link, or leads to one, is not written through."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
    try:
        return os.open(path, flags, 0o666)
    except OSError as error:
        raise SetupError(f"{path}: cannot be written: {error.strerror}") from None


def cut_back(path: Path, step: int) -> None:
    """Drop the events after `step`, and a last line that was cut short: they will come again.

    Raises CheckpointError if the log is no regular file or too large, SetupError if it cannot be
    written.
    """
    if not os.path.lexists(path):
        return
    kept = []
    # Not splitlines: a sample may hold other signs that end a line, such as U+2028.
    log = read_bytes(path, CheckpointError, limit=RECORD_LIMIT).decode(errors="replace")
    for line in log.split("\n"):
        try:
            event = json.loads(line)
        except (ValueError, RecursionError):
            continue
        at = event.get("step", 0) if isinstance(event, dict) else None
        if isinstance(at, int | float) and at <= step:
            kept.append(line + "\n")
    write_file(path, "".join(kept))  # at once: a run that is killed here loses nothing
