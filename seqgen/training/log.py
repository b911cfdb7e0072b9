"""The log of a run, `metrics.jsonl`: one JSON object a line, in the order of the steps."""

from __future__ import annotations

import json
import math
import warnings
from pathlib import Path
from typing import Any, TextIO

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
            self._file.write(json.dumps(_finite(event), ensure_ascii=False) + "\n")
            self._file.flush()
        except OSError as error:
            self._file = None
            warnings.warn(f"{self.path}: {error.strerror}; no further metrics", stacklevel=2)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()


def cut_back(path: Path, step: int) -> None:
    """Drop the events after `step`, and a last line that was cut short: they will come again."""
    if not path.exists():
        return
    kept = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict) and event.get("step", 0) <= step:
            kept.append(line + "\n")
    path.write_text("".join(kept), encoding="utf-8")


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
