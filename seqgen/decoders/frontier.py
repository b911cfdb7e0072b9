"""Frontier, where a search of several paths a source stands: what the next step will read."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from seqgen.decoders.base import Hypothesis
from seqgen.decoders.paths import IMPOSSIBLE, Growth, Paths
from seqgen.decoders.scores import open_rows
from seqgen.decoders.stepper import Limits, Start, Stepper
from seqgen.state import State, reorder, repeat


class Frontier(NamedTuple):
    """The live paths of the sources that are still in the batch.

    `sources: [sources]` are their places in the start, `room: [sources]` their maximum lengths.
    Each has as many `paths` as any other, its `width`, in rows side by side; `tokens: [rows]` is
    what the next step reads, `state` has a row for each path and `context` one for each source.
    `dead_ends` has of each source that lost a path to its constraints the longest such path.
    """

    sources: Tensor
    room: Tensor
    tokens: Tensor
    paths: Paths
    state: State
    context: State
    dead_ends: dict[int, Hypothesis]

    @classmethod
    def begin(cls, start: Start, limits: Limits, width: int = 1) -> Frontier:
        """`width` times the empty path for each source that may have a token at all."""
        room = limits.lengths(start)
        sources = (room > 0).nonzero().squeeze(1)
        tokens, state = repeat(reorder((start.tokens, start.state), sources), width)
        paths = Paths.empty(len(tokens), tokens.device)
        context = reorder(start.context, sources)
        return cls(sources, room[sources], tokens, paths, state, context, {})

    @property
    def width(self) -> int:
        """The number of rows for each source."""
        return len(self.tokens) // len(self.sources)

    def step(self, stepper: Stepper) -> tuple[Tensor, Frontier]:
        """One step of all paths: `log_probs: [rows, vocab]`, and where that leaves us.

        Rows that hold no path are not read, and have IMPOSSIBLE scores throughout: what a source
        costs does not depend on those beside it. Those at a dead end have such scores, too, and
        are noted in `dead_ends`. Errors: DecodeError on NaN.
        """
        sources = repeat(self.sources, self.width)
        real = self.paths.scores != IMPOSSIBLE
        if bool(real.all()):
            log_probs, state = stepper.step(self.tokens, self.state, self.context)
            going = open_rows(log_probs, sources, self.paths.length)
            return self._without_dead_ends(log_probs, going), self._replace(state=state)
        rows = real.nonzero().squeeze(1)
        # Sources have different numbers of paths now, so each path gets a context of its own.
        tokens, state = reorder((self.tokens, self.state), rows)
        read, state = stepper.step(tokens, state, reorder(self.context, rows // self.width))
        going = open_rows(read, sources[rows], self.paths.length)
        log_probs = read.new_full((len(real), read.shape[1]), IMPOSSIBLE)
        log_probs[rows] = read
        log_probs = self._without_dead_ends(log_probs, (~real).index_put((rows,), going))
        # Whatever state a row without a path has, no path goes on from there.
        places = (real.cumsum(0) - 1).clamp(min=0)
        return log_probs, self._replace(state=reorder(state, places))

    def advance(self, growth: Growth, staying: Tensor) -> Frontier:
        """Go on with the paths of `growth: [sources, new width]`, where `staying: [sources]`."""
        sources, room, context = self.sources, self.room, self.context
        if not bool(staying.all()):
            kept = staying.nonzero().squeeze(1)
            sources, room, context = reorder((sources, room, context), kept)
            growth = reorder(growth, kept)
        rows, tokens = growth.rows.flatten(), growth.tokens.flatten()
        paths = self.paths.extend(growth)
        state = reorder(self.state, rows)
        return Frontier(sources, room, tokens, paths, state, context, self.dead_ends)

    def _without_dead_ends(self, log_probs: Tensor, going: Tensor) -> Tensor:
        """`log_probs: [rows, vocab]`, IMPOSSIBLE in the rows that are not `going: [rows]`."""
        if bool(going.all()):
            return log_probs
        for row in (~going).nonzero().squeeze(1).tolist():
            tokens, given = self.paths.tokens[row].tolist(), self.paths.log_probs[row].tolist()
            dead = Hypothesis(
                tuple(tokens), float(self.paths.scores[row]), False, tuple(given), satisfied=False
            )
            source = int(self.sources[row // self.width])
            best = self.dead_ends.get(source, dead)
            if (len(dead.tokens), dead.score) >= (len(best.tokens), best.score):
                self.dead_ends[source] = dead
        return log_probs.masked_fill(~going.unsqueeze(1), IMPOSSIBLE)
