"""Outputs, how they grow token by token, and what shows them: a loop, or a notebook."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import KW_ONLY, dataclass, field
from importlib import import_module
from typing import Any, Generic, TypeVar

from seqgen.decoders import Hypothesis, StopStrings, walked
from seqgen.tokenizers import EOS

T = TypeVar("T")

NO_STREAM = "compares whole texts, so it has none to show before its end"
"""Said of decoders that do not go token by token."""


@dataclass(frozen=True)
class Generated:
    """The output for a prompt or a source. `pieces` are its tokens as display text, those of a stop
    string that is cut off `text` among them."""

    prompt: str
    text: str
    hypothesis: Hypothesis
    pieces: tuple[str, ...]

    @property
    def early_end(self) -> dict[str, str]:
        """What files say besides `finished` where neither the end token nor the maximum length
        ended it: its `finish_reason` and, if that is so, the `stop`."""
        reason, stop = self.hypothesis.finish_reason, self.hypothesis.stop
        known = {"finish_reason": reason} if reason in ("stop", "time") else {}
        return {**known, "stop": stop} if stop else known

    def plain(self) -> dict[str, Any]:
        """It without its prompt, as plain data."""
        found = self.hypothesis
        return {
            "text": self.text,
            "tokens": list(found.tokens),
            "pieces": list(self.pieces),
            "log_probs": list(found.log_probs),
            "score": found.score,
            "rank": found.ranking_score,
            "finished": found.finished,
            "complete": found.complete,
            "satisfied": found.satisfied,
            "finish_reason": found.finish_reason,
            "stop": found.stop,
        }


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


@dataclass
class GrowingOutput:
    """An output whose tokens come one by one: `add` returns what can be shown of its text.

    `text` is None where nobody looks at the text before its end. It has up to `length` tokens, of
    which `ends` end it, and those that are `hidden` add nothing to the text. A `guided` search is
    stopped by its constraints; else a stop string or the `deadline` ends the output here. From the
    token `held_from` on nothing is shown.
    """

    text: GrowingText | None
    length: int
    ends: set[int]
    hidden: set[int]
    _: KW_ONLY
    deadline: float | None = None
    guided: bool = False
    held_from: int | None = None

    def __post_init__(self) -> None:
        self.tokens: list[int] = []
        self.log_probs: list[float] = []
        self.shown = 0
        """How many characters have been returned."""
        self.held = self._late = False

    def add(self, token: int, log_prob: float) -> str:
        """The next token, with its log-probability."""
        self.tokens.append(token)
        self.log_probs.append(log_prob)
        self.held |= token == self.held_from
        self._late = self.is_late()
        if self.text is None or token in self.hidden:
            return ""
        piece = self.text.add(token)
        if self.held:
            return ""
        self.shown += len(piece)
        return piece

    def is_late(self) -> bool:
        """Whether its time is over."""
        return self.deadline is not None and time.monotonic() >= self.deadline

    @property
    def _cut(self) -> bool:
        """Whether it ends here, where the search would have gone on."""
        stopped = self.text is not None and self.text.stopped
        return not self.guided and (stopped or self._late)

    @property
    def over(self) -> bool:
        """Whether it ends with its last token."""
        ended = bool(self.tokens) and self.tokens[-1] in self.ends
        return ended or len(self.tokens) >= self.length or self._cut

    def found(self) -> Hypothesis:
        """The sequence, which is over or at a dead end."""
        tokens, given, ends = self.tokens, self.log_probs, self.ends
        if self._cut and len(tokens) < self.length:
            if tokens[-1] not in ends:  # it gets the end that `Stopping` gives
                tokens, given = [*tokens, EOS], [*given, 0.0]
            ends = ends | {EOS}
        return walked(tuple(tokens), tuple(given), ends, self.length)


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
