"""What runs in a process of its own: the checks, each law written down before it is tried."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any, TextIO

import torch

from seqgen.config import lay_over, read_override
from seqgen.errors import PluginError, UsageError
from seqgen.testing.check import ALONE, CHECKS, Target, find_targets, split_file
from seqgen.testing.laws import Finding

IMPORTED = "is imported"
BUILT = "its options are right"


def main(wanted: str, report: Path, settings: list[str]) -> None:
    """Check what is `wanted`; `report` gets a line of JSON for each thing that happens."""
    torch.set_num_threads(1)
    torch.zeros(1, device="meta").tanh()  # loads what takes a second; no part should be blamed
    process = os.getpid()
    with report.open("a", encoding="utf-8") as file:
        try:
            _check_all(wanted, settings, file)
        except UsageError as error:
            _write(file, refused=str(error))
        if os.getpid() == process:
            _write(file, end=True)
    # Not by returning: threads that a part has left would keep the process from ending.
    os._exit(0)


def _check_all(wanted: str, settings: list[str], file: TextIO) -> None:
    path, _ = split_file(wanted)
    _write(file, at=[str(path or wanted), IMPORTED])
    try:
        targets = find_targets(wanted)
    except PluginError as error:
        _found(file, str(path), Finding(IMPORTED, "broken", str(error)))
        return
    for target in targets:
        laws = [law.name for law in CHECKS[target.room].laws] if target.room in CHECKS else []
        _write(file, plan=[str(target), laws])
    options = lay_over({}, [read_override(each, "--set") for each in settings])
    for target in targets:
        _check(file, target, options)


def _check(file: TextIO, target: Target, options: dict[str, Any]) -> None:
    part, process = str(target), os.getpid()
    if target.room not in CHECKS:
        reason = f"there are checks for {', '.join(CHECKS)}, not for this kind"
        _found(file, part, Finding("a check", "not tried", reason))
        return

    def watch(law: str, finding: Finding | None) -> None:
        if os.getpid() != process:  # a copy, which must not check everything once more
            says = "it forks, and the copy returns into the program; end a copy by os._exit"
            _found(file, part, Finding(ALONE, "broken", says))
            os.killpg(0, signal.SIGKILL)
        if finding is None:
            _write(file, at=[part, law])
        else:
            _found(file, part, finding)

    try:
        CHECKS[target.room].check(target.name, watch=watch, **options)
    except ValueError as error:
        says = f"{error}; say it with --set, such as --set hidden_size=8"
        _found(file, part, Finding(BUILT, "broken", says))
    left = [each.name for each in threading.enumerate() if not each.daemon]
    if len(left) > 1:
        says = f"a thread that it started runs on ({left[1]}) and keeps the program from ending; "
        _found(file, part, Finding(ALONE, "broken", f"{says}join it, or make it a daemon"))


def _found(file: TextIO, part: str, finding: Finding) -> None:
    _write(file, found=[part, finding.law, finding.outcome, finding.says])


def _write(file: TextIO, **event: Any) -> None:
    print(json.dumps(event), file=file, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3:])
