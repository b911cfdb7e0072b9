"""What a law is, and what trying one finds: kept, broken or not tried, in a sentence."""

from __future__ import annotations

import os
import traceback
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

Outcome = Literal["kept", "broken", "not tried"]

C = TypeVar("C")


class BreachError(Exception):
    """A law is broken; the message says what is wrong and what to do, in a sentence."""


class NotTriedError(Exception):
    """A law has nothing to say about this part; the message says why."""


@dataclass(frozen=True)
class Law(Generic[C]):
    """A statement about every part of a kind. `test(case)` raises BreachError where it fails.

    `advice` says what to do where the part itself raises an error while it is tested. Nothing is
    tried while a law that it `needs` is not kept: it would only say the same again.
    """

    name: str
    test: Callable[[C], None]
    advice: str
    needs: tuple[str, ...] = ()

    def try_on(self, case: C) -> Finding:
        """Test the part; whatever it raises is a finding."""
        import torch  # not above: the command line reads reports without it

        try:
            # What a check draws and what it does to warnings and gradients stays in here.
            with torch.random.fork_rng(devices=[]), torch.enable_grad(), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                torch.manual_seed(1)
                self.test(case)
        except NotTriedError as reason:
            return Finding(self.name, "not tried", str(reason))
        except BreachError as breach:
            return Finding(self.name, "broken", str(breach))
        except Exception as error:  # the part is someone else's code
            says = without_super(error) or f"{told(error)}: {self.advice}"
            return Finding(self.name, "broken", says)
        return Finding(self.name, "kept")


@dataclass(frozen=True)
class Finding:
    """What trying a law has found; `says` is a sentence unless it is kept."""

    law: str
    outcome: Outcome
    says: str = ""


@dataclass(frozen=True)
class Report:
    """What was found of a part, a finding for each law."""

    part: str
    findings: tuple[Finding, ...]

    @property
    def broken(self) -> tuple[Finding, ...]:
        """The findings that are breaches."""
        return tuple(each for each in self.findings if each.outcome == "broken")

    def require(self) -> None:
        """An AssertionError with a line for each broken law, if there is one."""
        if self.broken:
            lines = [f"{each.law}: {each.says}" for each in self.broken]
            head = f"{self.part} breaks {len(lines)} law{'s' if len(lines) > 1 else ''}"
            raise AssertionError("\n".join([head, *lines]))


Watch = Callable[[str, Finding | None], None]
"""Called with the name of each law before it is tried (None), and again with what was found."""


def unwatched(name: str, finding: Finding | None) -> None:
    """Nobody looks on."""


def try_laws(part: str, laws: Sequence[Law[C]], case: C, watch: Watch) -> Report:
    """Try each of `laws`; none keeps the others from being tried, unless they need it."""
    found: list[Finding] = []
    roots: dict[str, str] = {}
    """Of each law that is broken, or waits for a broken one, the law that is to be mended."""
    for law in laws:
        watch(law.name, None)
        missing = [roots[name] for name in law.needs if name in roots]
        if missing:
            finding = Finding(law.name, "not tried", f"first mend: {missing[0]}")
        else:
            finding = law.try_on(case)
        if missing or finding.outcome == "broken":
            roots[law.name] = missing[0] if missing else law.name
        found.append(finding)
        watch(law.name, finding)
    return Report(part, tuple(found))


def without_super(error: BaseException) -> str:
    """That a constructor leaves out that of its base, where this is why `error` was raised."""
    if not isinstance(error, AttributeError):
        return ""
    frames = traceback.walk_tb(error.__traceback__)
    objects = [error.obj, *(frame.f_locals.get("self") for frame, _ in frames)]
    for kind in map(type, objects):
        culprit = _forgetful(kind)
        if culprit:
            return f"{culprit}.__init__ does not call super().__init__(); make that its first line"
    if "before Module.__init__() call" in str(error):
        return f"{told(error)}: make super().__init__() the first line of the constructor"
    return ""


def _forgetful(kind: type) -> str:
    """The first class of `kind` and its bases whose constructor calls none but has one to call."""
    constructors: list[tuple[str, Any]] = [
        (each.__name__, vars(each)["__init__"]) for each in kind.__mro__ if "__init__" in vars(each)
    ]
    for name, constructor in constructors[:-2]:  # behind the last but one there is only `object`
        code = getattr(constructor, "__code__", None)
        if code is not None and "__init__" not in code.co_names:
            return name
    return ""


def told(error: BaseException) -> str:
    """`ValueError: what it says (my_cell.py:17)`, the last place that is the part's own."""
    first = next(iter(str(error).strip().splitlines()), "")
    message = f"{type(error).__name__}: {first}" if first else type(error).__name__
    ours = Path(__file__).parent
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if ours not in Path(frame.filename).parents
        and "site-packages" not in frame.filename
        and Path(frame.filename).is_file()
    ]
    return f"{message} ({short(frames[-1].filename)}:{frames[-1].lineno})" if frames else message


def short(filename: str) -> str:
    """The path from the current folder where it is below it, else the path."""
    inside = Path(filename).is_relative_to(Path.cwd())
    return os.path.relpath(filename) if inside else filename
