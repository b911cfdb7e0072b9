"""The log of a run, `metrics.jsonl`: one JSON object a line, in the order of the steps."""

from __future__ import annotations

import json
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

from seqgen.plain_values import for_json

Event = dict[str, Any]


class MetricsLog:
    """Appends events to a file. A full disk stops the log with a warning, never the training."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: TextIO | None = path.open("a", encoding="utf-8")

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


def cut_back(path: Path, step: int) -> None:
    """Drop the events after `step`, and a last line that was cut short: they will come again."""
    if not path.exists():
        return
    kept = []
    # Not splitlines: a sample may hold other signs that end a line, such as U+2028.
    for line in path.read_text(encoding="utf-8", errors="replace").split("\n"):
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict) and event.get("step", 0) <= step:
            kept.append(line + "\n")
    beside = path.with_name(f".{path.name}.tmp")
    beside.write_text("".join(kept), encoding="utf-8")
    beside.replace(path)  # at once: a run that is killed here loses nothing
