"""Checks in a process of their own: a crash or a hang of the part is one more finding."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from seqgen.errors import UsageError
from seqgen.testing.laws import Finding, Report, short

STARTING = 120
"""How many seconds a process may take until it begins: it imports torch."""


def check_apart(wanted: str, settings: Sequence[str] = (), seconds: float = 60) -> list[Report]:
    """A report of each part that `wanted` means; see `target.find_targets`.

    `settings` are options of the parts, `hidden_size=8`; `seconds` is how long one law may take.
    Errors: UsageError where nothing of that name is there.
    """
    with tempfile.TemporaryDirectory(prefix="seqgen-check-") as folder:
        events, said = Path(folder) / "events", Path(folder) / "said"
        events.touch()
        # -P: what lies in the current folder is no module, as it is none for `seqgen run`.
        command = [sys.executable, "-P", "-X", "faulthandler", "-m", "seqgen.testing.child"]
        search = [os.environ.get("PYTHONPATH", ""), str(Path(__file__).parents[2])]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, search))}
        with said.open("wb") as sink:
            process = subprocess.Popen(
                [*command, wanted, str(events), *settings],
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                env=environment,
            )
            try:
                in_time = _wait(process, events, seconds)
            finally:
                process.kill()
                process.wait()
        lines = list(_events(events.read_text(encoding="utf-8")))
        output = said.read_text(encoding="utf-8", errors="replace")
    ending = _ending(process.returncode, output) if in_time else f"no end within {seconds:g} s"
    return _reports(wanted, lines, f"{ending}{_place(output)}")


def _wait(process: subprocess.Popen[bytes], events: Path, seconds: float) -> bool:
    """Whether the process came to its end, with no law taking more than `seconds`."""
    size, since = 0, time.monotonic()
    while process.poll() is None:
        now = events.stat().st_size
        if now > size:
            size, since = now, time.monotonic()
        if time.monotonic() - since > (seconds if size else STARTING):
            process.send_signal(signal.SIGABRT)  # so that it says where it is
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
            return False
        time.sleep(0.02)
    return True


def _events(text: str) -> Iterator[dict[str, Any]]:
    """What the process has written down, but for a line that its end has cut."""
    for line in text.splitlines(keepends=True):
        if line.endswith("\n"):
            yield json.loads(line)


def _reports(wanted: str, lines: list[dict[str, Any]], ending: str) -> list[Report]:
    """What was found, and the end of the process where that came too early."""
    plans: dict[str, list[str]] = {}
    found: dict[str, list[Finding]] = {}
    at: tuple[str, str] = (wanted, "the check begins")
    ended = False
    for line in lines:
        if "refused" in line:
            raise UsageError(line["refused"])
        if "plan" in line:
            plans[line["plan"][0]] = line["plan"][1]
        if "at" in line:
            at = (line["at"][0], line["at"][1])
        if "found" in line:
            part, law, outcome, says = line["found"]
            found.setdefault(part, []).append(Finding(law, outcome, says))
        ended = ended or "end" in line
    if not ended:
        part, law = at
        before = [each for each in found.get(part, []) if each.law != law]
        found[part] = [*before, Finding(law, "broken", ending)]
        for part, laws in plans.items():
            done = {each.law for each in found.setdefault(part, [])}
            gone = [law for law in laws if law not in done]
            reason = f"the process is gone since: {law}"
            found[part].extend(Finding(law, "not tried", reason) for law in gone)
    return [Report(part, tuple(findings)) for part, findings in found.items()]


def _ending(code: int, output: str) -> str:
    """How a process ended, such as `it crashed (SIGSEGV)`."""
    if code >= 0:
        said = output.strip().splitlines()[-1:]
        last = f"; the last it said: {said[0]}" if said else ""
        return f"it ended the process with exit code {code}{last}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"it crashed ({name})"


def _place(output: str) -> str:
    """` at my_cell.py:17 in step`, the innermost place that is not a library's own."""
    frames = re.findall(r'^  File "(.+)", line (\d+) in (.+)$', output, re.MULTILINE)
    libraries = (str(Path(__file__).parents[1]), str(Path(os.__file__).parent), "<")
    for filename, line, function in frames:
        if not filename.startswith(libraries) and "site-packages" not in filename:
            return f" at {short(filename)}:{line} in {function}"
    return ""
