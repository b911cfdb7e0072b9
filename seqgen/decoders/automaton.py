"""The automaton of a regular expression, made in a process of its own.

How large an automaton is can't be known before it is there, and outlines-core neither stops nor
lets go of Python until it is. So `automaton_of` has this file run as a program, whose time and
memory the system bounds; it imports nothing of seqgen. Ctrl-C stops it, too.
"""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Collection, Mapping
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

SECONDS = 20
"""Of a processor, for one expression."""
PATIENCE = 600
"""Seconds after which the process is ended, however little it could compute."""
GIBIBYTES = 2


class Automaton(NamedTuple):
    """Where bytes lead: `moves[state][byte]` is a state. There is no state from which no text that
    matches can be reached."""

    moves: Mapping[int, Mapping[int, int]]
    first: int
    final: Collection[int]


class TooLargeError(Exception):
    """An automaton needs more time or memory than there is for one."""


def automaton_of(expression: str, part: str, used: Collection[int]) -> Automaton | None:
    """The automaton of `expression`, of which `part` must be an expression, too; None if it has no
    text. Bytes that are not `used` may be left out where they are not needed.

    Raises ValueError if outlines-core cannot read `part`, TooLargeError.
    """
    package = find_spec("outlines_core")
    assert package is not None
    place = Path(str(package.origin)).parents[1]
    asked = pickle.dumps((str(place), (SECONDS, GIBIBYTES), expression, part, [*used]))
    command = [sys.executable, "-I", "-S", __file__]
    try:
        ended = subprocess.run(
            command, input=asked, capture_output=True, timeout=PATIENCE, check=False
        )
    except subprocess.TimeoutExpired:
        raise TooLargeError from None
    if ended.returncode < 0 or b"MemoryError" in ended.stderr:  # by a signal: a bound was reached
        raise TooLargeError
    if ended.returncode:
        said = ended.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise RuntimeError(f"the process of outlines-core ended with {ended.returncode}: {said}")
    found: tuple[str, Any] = pickle.loads(ended.stdout)
    if found[0] == "error":
        raise ValueError(found[1])
    return None if found[1] is None else Automaton(*found[1])


def _bound(seconds: int, gibibytes: float) -> None:
    """Bound this process, where the system can."""
    with suppress(ImportError, ValueError, OSError):
        import resource

        for kind, most in (
            (resource.RLIMIT_CORE, 0),
            (resource.RLIMIT_CPU, seconds),
            (resource.RLIMIT_AS, int(gibibytes * 2**30)),
        ):
            resource.setrlimit(kind, (most, most))


def _answer(expression: str, part: str, used: Collection[int]) -> tuple[str, Any]:
    from outlines_core import Index, Vocabulary  # an extra, which few need

    def index(text: str, some: Collection[int]) -> Any:
        """None where it comes to a state in which none of the bytes can follow."""
        try:
            return Index(text, Vocabulary(256, {bytes([each]): [each] for each in some}))
        except ValueError as error:
            if "incompatible with the regex" in str(error):
                return None
            raise

    try:
        index(part, {0})
        found = index(expression, used) or index(expression, range(256))
    except ValueError as error:
        return "error", str(error)
    if found is None:
        return "automaton", None
    made = found.get_transitions(), found.get_initial_state(), [*found.get_final_states()]
    return "automaton", made


if __name__ == "__main__":
    _place, _bounds, *_asked = pickle.load(sys.stdin.buffer)
    sys.path.append(_place)
    _bound(*_bounds)
    pickle.dump(_answer(*_asked), sys.stdout.buffer)
