"""Signals while training: the first asks for an orderly end, the second ends at once."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType, TracebackType

from seqgen.errors import StoppedError

SAID = {
    False: "stopping after this step, with a checkpoint",
    True: "stopping",
}
"""What the first signal says at once, by whether it interrupts what is being done."""


class Signals:
    """A context in which SIGINT and SIGTERM only set `received`, and say so on standard error; a
    second one acts as usual. What is done in `interrupting()` ends with the first."""

    def __init__(self) -> None:
        self.received: int | None = None
        self._interrupting = False
        self._before: dict[int, object] = {}

    def __enter__(self) -> Signals:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._receive)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._restore()

    @contextmanager
    def interrupting(self, says: str = "stopped") -> Iterator[None]:
        """A context for what may be left undone and done again: a signal ends it at once, also one
        that came before. Raises StoppedError, which `says` so, if there is one."""
        try:
            try:
                self._interrupting = True
                if self.received is not None:
                    raise _Interruption
                yield
            finally:
                self._interrupting = False
        except _Interruption:
            raise StoppedError(says, self.received or signal.SIGINT) from None

    def _receive(self, number: int, frame: FrameType | None) -> None:
        self.received = number
        self._restore()
        said = f"{SAID[self._interrupting]}; press Ctrl-C again to stop at once\n"
        with suppress(OSError):
            # Not by Python's streams, in one of which we may be: they refuse to be entered twice.
            os.write(2, said.encode() if not os.isatty(2) else b"\n" + said.encode())
        if self._interrupting:
            raise _Interruption

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
        self._before = {}


class _Interruption(KeyboardInterrupt):
    """No Exception: what guards against the faults of a plugin must let it pass."""
