"""What a person wants checked: the parts of a file, one of them, or any registered part."""

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
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from seqgen import plugins
from seqgen.errors import PluginError, UsageError
from seqgen.options import did_you_mean
from seqgen.plugins import ROOMS
from seqgen.testing.cell import CELL_LAWS, check_cell
from seqgen.testing.decoder import DECODER_LAWS, check_decoder
from seqgen.testing.head import HEAD_LAWS, check_head
from seqgen.testing.laws import Finding, Law, Report, short
from seqgen.testing.tokenizer import TOKENIZER_LAWS, check_tokenizer


class Check(NamedTuple):
    """How the parts of a room are checked."""

    check: Callable[..., Report]
    laws: Sequence[Law[Any]]


CHECKS = {
    "cells": Check(check_cell, CELL_LAWS),
    "heads": Check(check_head, HEAD_LAWS),
    "tokenizers": Check(check_tokenizer, TOKENIZER_LAWS),
    "decoders": Check(check_decoder, DECODER_LAWS),
}


class Target(NamedTuple):
    """A part: its room and its name."""

    room: str
    name: str

    def __str__(self) -> str:
        return f"{self.room}.{self.name}"


def find_targets(wanted: str) -> list[Target]:
    """The parts that `wanted` means: `FILE.py`, `FILE.py:name`, `name` or `room.name`.

    A file is imported, which runs it. Errors: PluginError, UsageError.
    """
    plugins.load_installed()
    path, name = split_file(wanted)
    return [_registered(wanted)] if path is None else _of_file(path, name)


def _of_file(path: Path, name: str) -> list[Target]:
    before = set(_all())
    plugins.load_files([str(path.resolve())])
    new = [each for each in _all() if each not in before]
    if not new:
        raise PluginError(
            f'{path}: registers no part; put `@cells.register("my_name")` (or heads, tokenizers, '
            "decoders) before the class"
        )
    chosen = [each for each in new if not name or each.name == name]
    if not chosen:
        near = did_you_mean(name, [each.name for each in new])
        there = ", ".join(str(each) for each in new)
        raise UsageError(f"{path}: registers nothing called '{name}'{near} ({there})")
    return chosen


def _registered(wanted: str) -> Target:
    room, dot, name = wanted.rpartition(".")
    found = [each for each in _all() if wanted == each.name or (room, name) == (*each,)]
    if dot and room in ROOMS and not found:
        raise UsageError(f"no {ROOMS[room].kind} named '{name}'{did_you_mean(name, _names(room))}")
    if not found:
        near = did_you_mean(wanted, [each.name for each in _all()])
        raise UsageError(f"no part named '{wanted}'{near} (a file, or a name from seqgen list)")
    if len(found) > 1:
        choices = ", ".join(str(each) for each in found)
        raise UsageError(f"'{wanted}' is the name of several parts; say which: {choices}")
    [target] = found
    if target.room not in CHECKS:
        raise UsageError(f"{target}: there are checks for {', '.join(CHECKS)}, not for this kind")
    return target


def _names(room: str) -> tuple[str, ...]:
    return ROOMS[room].names()


def _all() -> list[Target]:
    return [Target(room, name) for room in ROOMS for name in _names(room)]


# Checks in a process of their own: a crash or a hang of the part is one more finding.


STARTING = 120
"""How many seconds a process may take until it begins: it imports torch."""

ALONE = "nothing goes on behind it"
"""The law that a part leaves no thread, and no copy of the process, that goes on."""

LAST_WORDS = 2**20
"""How many bytes of what a process printed are read, from the end."""


def check_apart(wanted: str, settings: Sequence[str] = (), seconds: float = 5) -> list[Report]:
    """A report of each part that `wanted` means; see `target.find_targets`.

    `settings` are options of the parts, `hidden_size=8`; `seconds` is how long all laws of a part
    may take together, and the import of a file. Raises UsageError if nothing of that name is there.
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
                start_new_session=True,  # so that what it has forked ends with it
            )
            try:
                in_time = _wait(process, events, seconds)
            finally:
                _kill(process)
        lines = list(_events(events.read_text(encoding="utf-8")))
        output = _tail(said)
    ending = _ending(process.returncode, output)
    if not in_time:
        ending = f"no end within {seconds:g} s (--seconds gives it longer)"
    return _reports(wanted, lines, f"{ending}{_place(output)}")


def split_file(wanted: str) -> tuple[Path | None, str]:
    """`my_cell.py:mine` as a path and a name; no path where no file is meant."""
    if wanted.endswith(".py"):
        return Path(wanted), ""
    path, colon, name = wanted.rpartition(":")
    return (Path(path), name) if colon and path.endswith(".py") else (None, wanted)


def _wait(process: subprocess.Popen[bytes], events: Path, seconds: float) -> bool:
    """Whether the process came to its end, with no part taking more than `seconds`."""
    begun, since = 0, time.monotonic()
    while process.poll() is None:
        now = _begun(events)
        if now > begun:
            begun, since = now, time.monotonic()
        if time.monotonic() - since > (seconds if begun else STARTING):
            process.send_signal(signal.SIGABRT)  # so that it says where it is
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(1)
            return False
        time.sleep(0.02)
    return True


def _begun(events: Path) -> int:
    """How many parts have been begun, the import of a file among them."""
    lines = _events(events.read_text(encoding="utf-8"))
    return len({line["at"][0] for line in lines if "at" in line})


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End the process and all that it has forked; nothing of a part goes on behind a check."""
    with contextlib.suppress(AttributeError, ProcessLookupError, PermissionError):  # no Windows
        os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.wait()


def _tail(path: Path) -> str:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - LAST_WORDS))
        return file.read().decode(errors="replace")


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
            others = [each for each in found.get(part, []) if each.law != law]
            found[part] = [*others, Finding(law, outcome, says)]  # the last word on a law counts
        ended = ended or "end" in line
    if not ended:
        part, law = at
        before = [each for each in found.get(part, []) if each.law != law]
        if ALONE not in {each.law for each in before}:  # which ends the process of its own
            before.append(Finding(law, "broken", ending))
        found[part] = before
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
