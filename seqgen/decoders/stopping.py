"""What stops a sequence besides its end token: strings in its text, and the clock.

Decoders know no text. So a stop is an end token that comes for certain: as soon as the text of a
path contains a stop string, or the time is up, `Stopping` leaves that path nothing but the end,
with probability 1. Any search finishes such a path, in a batch as alone, and its score is that of
the tokens before.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, final

import torch
from torch import Tensor

from seqgen.decoders.base import Constraint, Limits, Start, Stepper, Wrapped
from seqgen.decoders.guards import IMPOSSIBLE, intercept
from seqgen.tokenizers import UNK, Contents

MARGIN = 8
"""How many tokens before those of a stop string are looked at: a text that begins in the middle may
begin with a part of a character, or without a space."""


class Match(NamedTuple):
    """A stop string in a text, at `text[start:end]`."""

    start: int
    end: int
    string: str


@dataclass(frozen=True)
class StopStrings:
    """Strings that end a text; with `keep` the text has the one that ended it, else it is cut off.

    The first counts that is complete; of several that are complete at the same character, the
    longest. So it does not matter how a text is cut into tokens.
    """

    strings: tuple[str, ...] = ()
    keep: bool = False

    @property
    def window(self) -> int:
        """How many tokens at the end of a text decide whether it has just become complete: a token
        has at least a byte."""
        return max((len(each.encode("utf-8", "replace")) for each in self.strings), default=0)

    def find(self, text: str) -> Match | None:
        """The stop string that ends `text`, if it contains one."""
        found = [
            Match(place, place + len(each), each)
            for each in self.strings
            if (place := text.find(each)) >= 0
        ]
        return min(found, key=lambda each: (each.end, each.start), default=None)

    def cut(self, text: str) -> str:
        """`text` up to the stop string that ends it, or with that one; all of it where none does.

        What stands after the string in its last token is cut off as well.
        """
        found = self.find(text)
        if found is None:
            return text
        return text[: found.end if self.keep else found.start]

    def impossible(self, contents: Contents) -> list[str]:
        """Those of the strings that are in no text whose tokens add `contents` to it."""
        pieces = {each for each in (*contents.first[UNK + 1 :], *contents.later[UNK + 1 :]) if each}

        def is_possible(string: str) -> bool:
            wanted = string.encode("utf-8", "replace")
            if any(wanted in piece for piece in pieces):
                return True
            beginnings = [wanted[:size] for size in range(1, len(wanted))]
            # With how many of its bytes a text may end.
            met = {len(one) for one in beginnings for piece in pieces if piece.endswith(one)}
            for size in range(1, len(wanted)):
                rest = wanted[size:]
                if size in met and any(piece.startswith(rest) for piece in pieces):
                    return True
                if size in met:
                    met |= {size + len(piece) for piece in pieces if rest.startswith(piece)}
            return False

        return [each for each in self.strings if not is_possible(each)]

    def settled(self, text: str) -> int:
        """How many characters of `text`, which contains no stop string, no longer text can lose:
        what stands before the longest beginning of a stop string that it ends with."""
        longest = max(map(len, self.strings), default=1) - 1
        for size in range(min(longest, len(text)), 0, -1):
            if any(each.startswith(text[-size:]) for each in self.strings):
                return len(text) - size
        return len(text)


@final
@dataclass
class Stopping(Constraint):
    """Leaves a path only the token `end`, with probability 1, where it is stopped.

    `stopped(source, recent)` says whether the text of a path has a stop string now; `recent` are
    its last `window` tokens, fewer if it has no more. After `deadline`, by `time.monotonic`, all
    paths are stopped at their next step. Where `may_refuse`, the other constraints have a say: a
    path that they do not let end is at a dead end. Being no part of a recipe, it is not registered.
    """

    end: int
    may_refuse: bool
    window: int
    stopped: Callable[[int, Sequence[int]], bool]
    deadline: float | None = None

    def __post_init__(self) -> None:  # no options of a recipe, so there is nothing to check
        pass

    def wrap(self, stepper: Stepper, start: Start, limits: Limits, batch: Any) -> Wrapped:
        """The memory is the last tokens of each row, -1 before the first, and its source: -1 minus
        that before the first step, whose token is not generated."""

        def change(
            log_probs: Tensor, tokens: Tensor, recent: Tensor, sources: Tensor
        ) -> tuple[Tensor, ...]:
            begun = sources >= 0
            read = torch.where(begun, tokens, -1).unsqueeze(1)
            recent = torch.cat([recent, read], 1)[:, 1:] if self.window else recent
            sources = torch.where(begun, sources, -1 - sources)
            # Plain lists, also where the clock alone decides: a step that was traced would go on
            # for ever.
            over = self._over(sources.tolist(), recent.tolist())
            if any(over):
                own, ended = log_probs[:, self.end], torch.zeros_like(log_probs[:, self.end])
                if self.may_refuse:
                    ended = torch.where(own == IMPOSSIBLE, own, ended)
                forced = torch.full_like(log_probs, IMPOSSIBLE)
                forced[:, self.end] = ended
                rows = torch.tensor(over, device=tokens.device).unsqueeze(1)
                log_probs = torch.where(rows, forced, log_probs)
            return log_probs, recent, sources

        rows = torch.arange(len(start.tokens), device=start.tokens.device)
        nothing = torch.full((len(rows), self.window), -1, device=rows.device)
        return intercept(stepper, start, change, nothing, -1 - rows)

    def _over(self, sources: list[int], recent: list[list[int]]) -> list[bool]:
        if self.deadline is not None and time.monotonic() >= self.deadline:
            return [True] * len(sources)
        if not self.window:
            return [False] * len(sources)
        tokens = ([token for token in own if token >= 0] for own in recent)
        return list(map(self.stopped, sources, tokens))


def with_stop(constraints: Sequence[Constraint], stop: Stopping) -> tuple[Constraint, ...]:
    """`constraints` with `stop` around all that change scores, and inside those that watch."""
    watching = [each for each in constraints if each.watches]
    return (*(each for each in constraints if not each.watches), stop, *watching)
