"""Laws, and what trying one finds: kept, broken or not tried, with a sentence."""

from __future__ import annotations

import traceback
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Literal, TypeVar

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
