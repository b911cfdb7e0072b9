"""Checks in a process of their own: a crash or a hang of the part is one more finding."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from seqgen.errors import UsageError
from seqgen.files import local_path
from seqgen.testing.laws import Finding, Report

STARTING = 120
"""How many seconds a process may take until it begins: it imports torch."""

ALONE = "nothing goes on after it has ended"
"""The law that a part leaves no thread, and no copy of the process, that goes on."""

LAST_WORDS = 2**20
"""How many bytes of what a process printed are read, from the end."""


def check_apart(wanted: str, settings: Sequence[str] = (), seconds: float = 5) -> list[Report]:
    """A report of each part that `wanted` means; see `child.find_targets`.

    `settings` are options of the parts, `hidden_size=8`; `seconds` is how long all laws of a part
    may take together, and the import of a file. Raises UsageError if nothing of that name is there.
    """
    with tempfile.TemporaryDirectory(prefix="seqgen-check-") as folder:
        events, said = Path(folder) / "events", Path(folder) / "said"
        events.touch()
        # -P: files in the current folder are no modules, as they are none for `seqgen run`.
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
                start_new_session=True,  # so that what it has forked ends with it
            )
            try:
                in_time = _wait(process, events, seconds)
            finally:
                with contextlib.suppress(AttributeError, ProcessLookupError, PermissionError):
                    os.killpg(process.pid, signal.SIGKILL)  # which Windows lacks
                process.kill()
                process.wait()
        with said.open("rb") as file:
            file.seek(max(0, said.stat().st_size - LAST_WORDS))
            output = file.read().decode(errors="replace")
        ending = _ending(process.returncode, output)
        if not in_time:
            ending = f"no end within {seconds:g} s (--seconds gives it longer)"
        return _reports(wanted, _read(events), f"{ending}{_place(output)}")


def split_file(wanted: str) -> tuple[Path | None, str]:
    """`my_cell.py:mine` as a path and a name; no path if no file is meant."""
    if wanted.endswith(".py"):
        return Path(wanted), ""
    path, colon, name = wanted.rpartition(":")
    return (Path(path), name) if colon and path.endswith(".py") else (None, wanted)


def _wait(process: subprocess.Popen[bytes], events: Path, seconds: float) -> bool:
    """Whether the process ended, with no part taking more than `seconds`."""
    begun, since = 0, time.monotonic()
    while process.poll() is None:
        # The parts that have been begun, the import of a file among them.
        now = len({event["at"][0] for event in _read(events) if "at" in event})
        if now > begun:
            begun, since = now, time.monotonic()
        if time.monotonic() - since > (seconds if begun else STARTING):
            process.send_signal(signal.SIGABRT)  # so that it says where it is
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(1)
            return False
        time.sleep(0.02)
    return True


def _read(events: Path) -> list[dict[str, Any]]:
    """What the process has written down, except a line that its end has cut."""
    lines = events.read_text(encoding="utf-8").splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("\n")]


def _reports(wanted: str, events: list[dict[str, Any]], ending: str) -> list[Report]:
    """The findings, and the end of the process if it came too early."""
    plans: dict[str, list[str]] = {}
    found: dict[str, dict[str, Finding]] = {}
    part, law = wanted, "the check begins"
    for event in events:
        if "refused" in event:
            raise UsageError(event["refused"])
        if "plan" in event:
            plans[event["plan"][0]] = event["plan"][1]
        if "at" in event:
            part, law = event["at"]
        if "found" in event:
            name, tried, outcome, says = event["found"]
            findings = found.setdefault(name, {})
            findings.pop(tried, None)  # the last word on a law counts, and comes last
            findings[tried] = Finding(tried, outcome, says)
    if not any("end" in event for event in events):
        findings = found.setdefault(part, {})
        findings.pop(law, None)
        if ALONE not in findings:  # which ends the process itself
            findings[law] = Finding(law, "broken", ending)
        reason = f"the process died during: {law}"
        for name, laws in plans.items():
            for each in laws:
                found.setdefault(name, {}).setdefault(each, Finding(each, "not tried", reason))
    return [Report(name, tuple(findings.values())) for name, findings in found.items()]


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
            return f" at {local_path(Path(filename))}:{line} in {function}"
    return ""
