"""What a law is, what trying one finds, and trying them in a process of their own.

A crash or a hang of the part in that process is one more finding.
"""

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
import traceback
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

from seqgen.errors import UsageError
from seqgen.files import local_path

Outcome = Literal["kept", "broken", "not tried"]

C = TypeVar("C")


class BreachError(Exception):
    """A law is broken; the message says what is wrong and what to do, in a sentence."""


class NotTriedError(Exception):
    """A law does not apply to this part; the message says why."""


@dataclass(frozen=True)
class Finding:
    """What trying a law has found; `says` is a sentence unless it is kept."""

    law: str
    outcome: Outcome
    says: str = ""


@dataclass(frozen=True)
class Law(Generic[C]):
    """A statement about every part of a kind. `test(case)` raises BreachError where it fails.

    `advice` says what to do if the part itself raises an error while it is tested. A law is not
    tried unless those that it `needs` are kept: it would only say the same again.
    """

    name: str
    test: Callable[[C], None]
    advice: str
    needs: tuple[str, ...] = ()

    def try_on(self, case: C) -> Finding:
        """Test the part; whatever it raises is a finding."""
        import torch  # not above: the command line reads reports without it

        try:
            # A check changes no random numbers, warnings or gradients outside.
            with torch.random.fork_rng(devices=[]), torch.enable_grad(), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                torch.manual_seed(1)
                self.test(case)
        except NotTriedError as reason:
            return Finding(self.name, "not tried", str(reason))
        except BreachError as breach:
            return Finding(self.name, "broken", str(breach))
        except Exception as error:  # the part is someone else's code
            says = without_super(error) or f"{describe(error)}: {self.advice}"
            return Finding(self.name, "broken", says)
        return Finding(self.name, "kept")


@dataclass(frozen=True)
class Report:
    """The findings about a part, one for each law."""

    part: str
    findings: tuple[Finding, ...]

    @property
    def broken(self) -> tuple[Finding, ...]:
        """The findings that are breaches."""
        return tuple(each for each in self.findings if each.outcome == "broken")

    def require(self) -> None:
        """Raises AssertionError, with a line for each broken law, if there is one."""
        if self.broken:
            lines = [f"{each.law}: {each.says}" for each in self.broken]
            head = f"{self.part} breaks {len(lines)} law{'s' if len(lines) > 1 else ''}"
            raise AssertionError("\n".join([head, *lines]))


Watch = Callable[[str, Finding | None], None]
"""Called with the name of each law before it is tried (None), and again with the finding."""


def unwatched(name: str, finding: Finding | None) -> None:
    """No observer."""


def try_laws(part: str, laws: Sequence[Law[C]], case: C, watch: Watch) -> Report:
    """Try each of `laws`; a broken one does not stop the others, unless they need it."""
    found: list[Finding] = []
    roots: dict[str, str] = {}
    """For each law that is broken, or blocked by a broken one, the law to fix first."""
    for law in laws:
        watch(law.name, None)
        blocking = [roots[name] for name in law.needs if name in roots]
        if blocking:
            finding = Finding(law.name, "not tried", f"blocked by: {blocking[0]}")
        else:
            finding = law.try_on(case)
        if blocking or finding.outcome == "broken":
            roots[law.name] = blocking[0] if blocking else law.name
        found.append(finding)
        watch(law.name, finding)
    return Report(part, tuple(found))


def without_super(error: BaseException) -> str:
    """That a constructor does not call that of its base, if this is why `error` was raised."""
    if not isinstance(error, AttributeError):
        return ""
    frames = traceback.walk_tb(error.__traceback__)
    objects = [error.obj, *(frame.f_locals.get("self") for frame, _ in frames)]
    for kind in map(type, objects):
        # The first class whose constructor calls none but has one to call.
        constructors = [each for each in kind.__mro__ if "__init__" in vars(each)]
        for each in constructors[:-2]:  # after the last but one there is only `object`
            code = getattr(vars(each)["__init__"], "__code__", None)
            if code is not None and "__init__" not in code.co_names:
                name = f"{each.__name__}.__init__"
                return f"{name} does not call super().__init__(); make that its first line"
    if "before Module.__init__() call" in str(error):
        return f"{describe(error)}: make super().__init__() the first line of the constructor"
    return ""


def describe(error: BaseException) -> str:
    """`ValueError: the message (my_cell.py:17)`, with the last place that is the part's own."""
    first = next(iter(str(error).strip().splitlines()), "")
    message = f"{type(error).__name__}: {first}" if first else type(error).__name__
    places = [
        (Path(frame.filename), frame.lineno)
        for frame in traceback.extract_tb(error.__traceback__)
        if "site-packages" not in frame.filename
    ]
    ours = Path(__file__).parent
    own = [each for each in places if ours not in each[0].parents and each[0].is_file()]
    return f"{message} ({local_path(own[-1][0])}:{own[-1][1]})" if own else message


STARTING = 120
"""How many seconds a process may take until it begins: it imports torch."""

ALONE = "nothing goes on after it has ended"
"""The law that a part leaves no thread, and no copy of the process, that goes on."""

OPTIONS = "its options are right"
"""What stands for all laws of a part that cannot be tried with the options that were given."""

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
