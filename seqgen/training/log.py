"""The log of a run, `metrics.jsonl`, one JSON object a line, and the signals that end a run."""

from __future__ import annotations

import json
import os
import signal
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any, TextIO

from seqgen.errors import CheckpointError, SetupError, StoppedError
from seqgen.files import RECORD_LIMIT, read_bytes, write_file
from seqgen.options import for_json

Event = dict[str, Any]


class MetricsLog:
    """Appends events to a file. A full disk stops the log with a warning, never the training.

    Raises SetupError if the file cannot be written; what is a link, or leads to one, is not.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
        try:
            descriptor = os.open(path, flags, 0o666)
        except OSError as error:
            raise SetupError(f"{path}: cannot be written: {error.strerror}") from None
        self._file: TextIO | None = os.fdopen(descriptor, "a", encoding="utf-8")

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


def read_events(path: Path) -> list[Event]:
    """The events of a log in their order, without a last line that is cut short; none where there
    is no log yet. Raises CheckpointError if it is damaged, no regular file or too large."""
    if not os.path.lexists(path):
        return []
    lines = read_bytes(path, CheckpointError, limit=RECORD_LIMIT).decode(errors="replace")
    try:  # Not splitlines: a sample may hold other signs that end a line, such as U+2028.
        return [json.loads(line) for line in lines.split("\n")[:-1]]
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: damaged: {error}") from None


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


class Signals:
    """A context in which SIGINT and SIGTERM only set `received`, and say so on standard error; a
    second one acts as usual. What is done in `interrupting()` ends with the first."""

    def __init__(self) -> None:
        self.received: int | None = None
        self._interrupting = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Signals:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._receive)
        return self

    def __exit__(self, *_: object) -> None:
        self._restore()

    @contextmanager
    def interrupting(self, message: str = "stopped") -> Iterator[None]:
        """A context for what may be left undone and done again: a signal ends it at once, also one
        that came before. Then it raises StoppedError with `message`."""
        try:
            try:
                self._interrupting = True
                if self.received is not None:
                    raise _Interruption
                yield
            finally:
                self._interrupting = False
        except _Interruption:
            raise StoppedError(message, self.received or signal.SIGINT) from None

    def _receive(self, number: int, frame: FrameType | None) -> None:
        self.received = number
        self._restore()
        what = "stopping" if self._interrupting else "stopping after this step, with a checkpoint"
        message = f"{what}; press Ctrl-C again to stop at once\n".encode()
        with suppress(OSError):
            # Not by Python's streams, in one of which we may be: they refuse to be entered twice.
            os.write(2, b"\n" + message if os.isatty(2) else message)
        if self._interrupting:
            raise _Interruption

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}


class _Interruption(KeyboardInterrupt):
    """No Exception: what guards against the faults of a plugin must let it pass."""
