"""What beam-like searches share: paths, their next step, and the best hypotheses so far."""

from __future__ import annotations

from bisect import insort_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, NamedTuple, TypeVar

import torch
from pydantic import Field
from torch import Tensor

from seqgen.decoders.base import Hypothesis, Limits, Start, Stepper
from seqgen.decoders.guards import IMPOSSIBLE, can_go_on, check_scores
from seqgen.registry import check_fields
from seqgen.state import State, reorder, repeat


class Paths(NamedTuple):
    """Sequences of equal length, one a row.

    `tokens` and `log_probs` are `[rows, time]`, `scores: [rows]` the sums of the `log_probs`, all
    but the tokens in float64. Being a State, they are moved by `reorder`.
    """

    tokens: Tensor
    log_probs: Tensor
    scores: Tensor

    @classmethod
    def empty(cls, rows: int, device: torch.device) -> Paths:
        return cls(
            torch.empty(rows, 0, dtype=torch.long, device=device),
            torch.empty(rows, 0, dtype=torch.float64, device=device),
            torch.zeros(rows, dtype=torch.float64, device=device),
        )

    @property
    def length(self) -> int:
        return self.tokens.shape[1]

    def extend(self, expansion: Expansion, in_order: bool = False) -> Paths:
        """The paths that go on; `in_order` says that these are all of them in their order."""
        rows, tokens, log_probs, scores = (each.flatten() for each in expansion)
        past = self[:2] if in_order else reorder(self[:2], rows)
        return Paths(
            torch.cat([past[0], tokens.unsqueeze(1)], 1),
            torch.cat([past[1], log_probs.unsqueeze(1).double()], 1),
            scores,
        )

    def hypotheses(
        self, expansion: Expansion, over: Tensor, finished: Tensor
    ) -> list[tuple[int, Hypothesis]]:
        """Those of the expanded paths that are `over: [beams, count]`, each with its beam."""
        places = over.nonzero(as_tuple=True)
        if not len(places[0]):
            return []
        grown = self.extend(Expansion(*(each[places] for each in expansion)))
        columns = (grown.tokens, grown.scores, finished[places], grown.log_probs, places[0])
        return [
            (beam, Hypothesis(tuple(tokens), score, ended, tuple(log_probs)))
            for tokens, score, ended, log_probs, beam in zip(
                *(each.tolist() for each in columns), strict=True
            )
        ]


class Expansion(NamedTuple):
    """How paths go on, one token each, all of one shape.

    `rows` says which row of the Paths goes on, with which of the `tokens`, whose `log_probs` these
    are; `scores` are the sums with it, IMPOSSIBLE where this is no path.
    """

    rows: Tensor
    tokens: Tensor
    log_probs: Tensor
    scores: Tensor

    def at(self, columns: Tensor) -> Expansion:
        return Expansion(*(each.gather(1, columns) for each in self))


def best(scores: Tensor, count: int) -> Tensor:
    """The places of the `count` highest in each row of `scores: [rows, columns]`, best first.

    Ties go to the leftmost: `topk` may pick any of them, and another one in a batch of another
    size.
    """
    count = min(count, scores.shape[1])
    values, columns = _highest(scores, min(count + 1, scores.shape[1]))
    if bool((values[:, :-1] > values[:, 1:]).all()):  # no ties
        return columns[:, :count]
    edge = values[:, count - 1 : count]
    if bool((edge == values[:, count:]).any()):  # a tie at the edge: the first ones make up `count`
        above, level = scores > edge, scores == edge
        room = count - above.sum(1, keepdim=True)
        picked = above | (level & (level.cumsum(1) <= room))
        columns = picked.nonzero()[:, 1].view(-1, count)
    else:
        columns = columns[:, :count].sort(1).values
    order = scores.gather(1, columns).sort(stable=True, dim=1, descending=True).indices
    return columns.gather(1, order)


class Lacking(NamedTuple):
    """A part of a state: how many tokens each token would leave lacking, `[rows, vocab]`.

    A constraint that paths satisfy little by little puts it there, for searches that keep paths of
    each number.
    """

    tokens: Tensor


def lacking(state: State) -> Tensor | None:
    """The sum of all `Lacking` in `state`; None if there is none."""
    if isinstance(state, Lacking):
        return state.tokens
    if not isinstance(state, tuple):
        return None
    every = [each for each in map(lacking, state) if each is not None]
    return torch.stack(every).sum(0) if every else None


def best_in_turn(scores: Tensor, kinds: Tensor, count: int) -> Tensor:
    """The places of the best of each kind, then of the second best, and so on, `count` in all; the
    lowest of `kinds: [rows, columns]` comes first. What is IMPOSSIBLE comes last."""
    places, possible = [], []
    for kind in torch.unique(kinds[scores > IMPOSSIBLE]).tolist():
        own = scores.masked_fill(kinds != kind, IMPOSSIBLE)
        places.append(best(own, count))
        possible.append(own.gather(1, places[-1]) > IMPOSSIBLE)
    if not places:
        return best(scores, count)
    columns, real = (torch.stack(each, 2).flatten(1) for each in (places, possible))
    first = live_first(real, torch.ones_like(real[:, 0]))
    # Where a row has fewer than `count` real ones, it has all there are, and another is none.
    columns = torch.where(real, columns, scores.argmin(1, keepdim=True)).gather(1, first)
    return columns[:, :count]


BLOCK = 64
"""How many columns `_highest` looks at by their maximum alone."""
WORTH_BLOCKS = 2**17
"""The number of scores from which that saves time."""


def _highest(scores: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """What `scores.topk(count)` returns, in half the time where the rows are long: the `count`
    highest are in the `count` blocks with the highest maxima."""
    blocks = scores.shape[1] // BLOCK
    if blocks < 4 * count or scores.numel() < WORTH_BLOCKS:
        return scores.topk(count)
    cut = scores[:, : blocks * BLOCK].view(len(scores), blocks, BLOCK)
    chosen = cut.amax(2).topk(count).indices
    inside = cut.gather(1, chosen.unsqueeze(2).expand(-1, -1, BLOCK)).flatten(1)
    rest = scores[:, blocks * BLOCK :]
    values, places = torch.cat([inside, rest], 1).topk(count)
    columns = chosen.gather(1, (places // BLOCK).clamp(max=count - 1)) * BLOCK + places % BLOCK
    of_rest = places + (blocks - count) * BLOCK
    return values, torch.where(places < count * BLOCK, columns, of_rest)


def live_first(live: Tensor, staying: Tensor) -> Tensor:
    """The columns of `live: [rows, count]` with the live ones first, `[rows, width]`.

    As many as the row of those `staying: [rows]` needs that has most; columns that others do not
    need hold no path.
    """
    width = int((live.sum(1) * staying).amax().clamp(min=1))
    return live.sort(stable=True, dim=1, descending=True).indices[:, :width]


def longest_dead_end(known: Hypothesis | None, other: Hypothesis) -> Hypothesis:
    """Of two paths that came to a dead end, the longer; of equally long ones, the more probable."""
    if known and (len(known.tokens), known.score) > (len(other.tokens), other.score):
        return known
    return other


class Frontier(NamedTuple):
    """The current paths of a search, several for each source: what the next step will read.

    `sources: [sources]` are the places in the start of those still in the batch, `room: [sources]`
    their maximum lengths. Each has as many `paths` as any other, its `width`, in adjacent rows;
    `tokens: [rows]` is what the next step reads, `state` has a row for each path and `context` one
    for each source. `dead_ends` has for each source that lost a path to its constraints the longest
    such path.
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
        return len(self.tokens) // len(self.sources)

    def step(self, stepper: Stepper) -> tuple[Tensor, Frontier]:
        """One step of all paths: `log_probs: [rows, vocab]`, and where that leaves us.

        Rows that hold no path are not read, and have IMPOSSIBLE scores throughout: what a source
        costs does not depend on the others in the batch. Those at a dead end have such scores, too,
        and are noted in `dead_ends`. Raises DecodeError if scores are NaN.
        """
        sources = repeat(self.sources, self.width)
        real = self.paths.scores != IMPOSSIBLE
        if bool(real.all()):
            log_probs, state = stepper.step(self.tokens, self.state, self.context)
            if not can_go_on(log_probs):
                going = check_scores(log_probs, sources, self.paths.length)
                log_probs = self._without_dead_ends(log_probs, going)
            return log_probs, self._replace(state=state)
        rows = real.nonzero().squeeze(1)
        # Sources have different numbers of paths now, so each path gets a context of its own.
        tokens, state = reorder((self.tokens, self.state), rows)
        read, state = stepper.step(tokens, state, reorder(self.context, rows // self.width))
        going = check_scores(read, sources[rows], self.paths.length)
        log_probs = read.new_full((len(real), read.shape[1]), IMPOSSIBLE)
        log_probs[rows] = read
        log_probs = self._without_dead_ends(log_probs, (~real).index_put((rows,), going))
        # Whatever state a row without a path has, no path goes on from there.
        places = (real.cumsum(0) - 1).clamp(min=0)
        return log_probs, self._replace(state=reorder(state, places))

    def advance(self, expansion: Expansion, staying: Tensor | None = None) -> Frontier:
        """Go on with the paths of `expansion: [sources, new width]`, where `staying: [sources]`;
        everywhere if that is None."""
        sources, room, context = self.sources, self.room, self.context
        if staying is not None and not bool(staying.all()):
            kept = staying.nonzero().squeeze(1)
            sources, room, context = reorder((sources, room, context), kept)
            expansion = reorder(expansion, kept)
        rows, tokens = expansion.rows.flatten(), expansion.tokens.flatten()
        # Where each path goes on once, in its place, nothing needs to be copied.
        in_order = torch.equal(rows, torch.arange(len(self.tokens), device=rows.device))
        paths = self.paths.extend(expansion, in_order)
        state = self.state if in_order else reorder(self.state, rows)
        return Frontier(sources, room, tokens, paths, state, context, self.dead_ends)

    def _without_dead_ends(self, log_probs: Tensor, going: Tensor) -> Tensor:
        """`log_probs: [rows, vocab]`, IMPOSSIBLE in the rows that are not `going: [rows]`."""
        if bool(going.all()):
            return log_probs
        for row in (~going).nonzero().squeeze(1).tolist():
            tokens, given = self.paths.tokens[row].tolist(), self.paths.log_probs[row].tolist()
            score, source = float(self.paths.scores[row]), int(self.sources[row // self.width])
            dead = Hypothesis(tuple(tokens), score, False, tuple(given), satisfied=False)
            self.dead_ends[source] = longest_dead_end(self.dead_ends.get(source), dead)
        return log_probs.masked_fill(~going.unsqueeze(1), IMPOSSIBLE)


class NBest:
    """At most `size` hypotheses, the best first; ties go to the one that was found first."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.hypotheses: list[Hypothesis] = []

    def add(self, hypothesis: Hypothesis) -> None:
        """Enter `hypothesis`, unless it is too low itself; it may push out the last one."""
        insort_right(self.hypotheses, hypothesis, key=lambda each: -each.ranking_score)
        del self.hypotheses[self.size :]

    @property
    def threshold(self) -> float:
        """The ranking score that a hypothesis must exceed to enter."""
        full = len(self.hypotheses) == self.size
        return self.hypotheses[-1].ranking_score if full else float("-inf")


def thresholds(beams: Sequence[NBest], device: torch.device) -> Tensor:
    """Those of all `beams`, `[beams]` in float64."""
    return torch.tensor([each.threshold for each in beams], dtype=torch.float64, device=device)


def merge(lists: Iterable[NBest], size: int) -> list[Hypothesis]:
    """The `size` best of all `lists`, each sequence once."""
    every = (hypothesis for each in lists for hypothesis in each.hypotheses)
    distinct: dict[tuple[int, ...], Hypothesis] = {}
    for hypothesis in sorted(every, key=lambda each: each.ranking_score, reverse=True):
        distinct.setdefault(hypothesis.tokens, hypothesis)
    return list(distinct.values())[:size]


Formula = Literal["none", "power", "gnmt"]

Scored = TypeVar("Scored", float, Tensor)

Alpha = Annotated[float, Field(ge=-10, le=10)]

Reward = Annotated[float, Field(ge=-100, le=100)]
"""In nats a token."""


@dataclass(frozen=True)
class LengthNormalisation:
    """How sequences of different lengths compare: `score / divisor(length) + reward * length`.

    Scores are sums of log-probabilities, so they are negative. `none` divides by 1; `power` by
    `length ** alpha`, which for `alpha` 1 makes the rank the mean log-probability of a token;
    `gnmt` by `((5 + length) / 6) ** alpha` (Wu et al. 2016). `length` counts the generated tokens,
    an end token among them, in finished and unfinished sequences alike. Above 0 `alpha` favours
    long sequences, at 0 it changes nothing, below 0 short ones. So does `reward`, in nats for each
    token (Huang et al. 2017).
    """

    formula: Formula = "none"
    alpha: Alpha = 1.0
    reward: Reward = 0.0

    def __post_init__(self) -> None:
        check_fields(self)

    def divisor(self, length: int) -> float:
        """What the score of a sequence of `length` tokens is divided by (of none as of one)."""
        if self.formula == "none":
            return 1.0
        base = max(length, 1) if self.formula == "power" else (5 + length) / 6
        return float(base**self.alpha)

    @property
    def ranks_by_score(self) -> bool:
        """Whether the score is the rank."""
        return self.formula == "none" and not self.reward

    def rank(self, score: Scored, length: int) -> Scored:
        """The rank of sequences of `length` tokens."""
        return score / self.divisor(length) + self.reward * length

    def ranked(self, hypothesis: Hypothesis) -> Hypothesis:
        """`hypothesis` with its rank, where there is another one than the score."""
        if self.ranks_by_score:
            return hypothesis
        return hypothesis._replace(rank=self.rank(hypothesis.score, len(hypothesis.tokens)))

    def bound(self, scores: Tensor, length: int, room: Tensor) -> Tensor:
        """The highest rank that a path may still reach, `[paths]`.

        It has `scores: [paths]` at `length` and grows by one token at least, to `room` tokens at
        most. Log-probabilities only make a score fall, so none is ranked above its present score at
        its best length; and the divisor rises with the length or falls with it, so that length is
        the next one or the last one. So is that of the largest reward.
        """
        last = scores.new_tensor([self.divisor(each) for each in room.tolist()])
        reached = torch.maximum(scores / self.divisor(length + 1), scores / last)
        if not self.reward:
            return reached
        longest = room if self.reward > 0 else torch.full_like(room, length + 1)
        return reached + self.reward * longest.double()
