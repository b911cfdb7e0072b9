"""Texts that grow token by token, and what shows them: a loop, or an output of a notebook."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Generic, TypeVar

from seqgen.decoders import StopStrings

T = TypeVar("T")

TAIL = 32
"""Tokens at the end of a text on which that of the next one may depend."""
LONG_PROMPT = 1000
"""From so many characters on, only the last ones are read again to place the first tokens."""


def end_of(prompt: str) -> str:
    """As much of a prompt as decides on the text of what follows it."""
    return prompt if len(prompt) < LONG_PROMPT else prompt[-LONG_PROMPT // 2 :]


@dataclass
class GrowingText:
    """The text of tokens as they come: `add` returns what can be shown now.

    `text_of(prompt, tokens)` is the text of tokens. A character of several tokens comes when it is
    whole, what may become a stop string that is cut off when it is clear that it does not. What a
    token costs does not depend on how many there are.
    """

    text_of: Callable[[str, Sequence[int]], str]
    prompt: str
    stops: StopStrings
    stopped: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        self.prompt = end_of(self.prompt)
        self._before: list[int] = []  # tokens whose text is out
        self._recent: list[int] = []
        self._shown = 0  # characters of the recent tokens that are out

    def add(self, token: int) -> str:
        self._recent.append(token)
        text = self.text_of(self.prompt, [*self._before, *self._recent])
        if self._before:
            text = text[len(self.text_of(self.prompt, self._before)) :]
        # A character may take several tokens; until it is whole, it ends in U+FFFD.
        ready = text.rstrip("\ufffd")
        found = self.stops.find(ready)
        self.stopped = found is not None
        settled = self.stops.settled(ready)
        until = len(ready) if self.stops.keep else settled
        if found is not None:
            until = found.end if self.stops.keep else found.start
        new = ready[self._shown : until]
        self._shown = max(self._shown, until)
        if len(self._recent) >= 4 * TAIL and settled == len(text) == self._shown:
            self.prompt, self._before = "", self._recent[-TAIL:]
            self._recent, self._shown = [], 0
        return new


REDRAWN = 0.05
"""Seconds between two updates of an output in a notebook."""


@dataclass
class TextStream(Generic[T]):
    """An iterator over the pieces of a text, the first of which is `before` if that is not empty.

    A text is made as it is read. At its end `output` has it with tokens and scores. As the last
    line of a cell in a notebook, it is an output that grows.
    """

    before: str
    pieces: Generator[str, None, T]
    output: T | None = field(default=None, init=False)

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if self.before:
            piece, self.before = self.before, ""
            return piece
        try:
            return next(self.pieces)
        except StopIteration as ended:
            self.output = ended.value or self.output
            raise

    def _ipython_display_(self) -> None:
        """Called by IPython alone, so it is there."""
        display: Any = import_module("IPython.display").display

        def shown() -> dict[str, Any]:
            return {"text/plain": "".join(every)}

        every: list[str] = []
        growing = display(shown(), raw=True, display_id=True)
        due = 0.0
        try:
            for piece in self:
                every.append(piece)
                if time.monotonic() >= due:
                    growing.update(shown(), raw=True)
                    due = time.monotonic() + REDRAWN
        finally:  # an interrupted text stays as far as it has come
            growing.update(shown(), raw=True)
