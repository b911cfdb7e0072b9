"""What surrounds a search: its constraints, and the checks of its scores and results."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor

from seqgen.decoders import base
from seqgen.decoders.base import Constraint, Decoder, Hypothesis, Limits, Start, Stepper, Wrapped
from seqgen.errors import DecodeError
from seqgen.registry import blamed_on, is_ours, plugin_fault
from seqgen.state import State

IMPOSSIBLE = float("-inf")
"""The score of a token that may not come, and of a row of a search that holds no path."""

DEAD_END = -(2.0**100)
"""The best score of a row in which constraints left no token possible, see `constrain`: the path
that it belongs to ends there and does not satisfy them. Finite, so that a decoder from a plugin
need not know of it, and so low that any other path is better."""

Change = Callable[..., tuple[Any, ...]]
"""`change(log_probs, tokens, *memory)` returns the scores `[rows, vocab]` as the search is to see
them, and the memory after this step, which has read `tokens: [rows]`, if there is one."""


def intercept(stepper: Stepper, start: Start, change: Change, *memory: State) -> Wrapped:
    """`stepper` with each step's scores as `change` returns them.

    `memory`, a row for each source, is what `change` gets at the first step; it travels with the
    state.
    """
    state = (start.state, *memory) if memory else start.state
    return _Intercepted(stepper, change, bool(memory)), start._replace(state=state)


@dataclass(frozen=True)
class _Intercepted:
    stepper: Stepper
    change: Change
    remembers: bool

    def step(self, tokens: Tensor, state: Any, context: State) -> tuple[Tensor, State]:
        inner, *memory = state if self.remembers else (state,)
        log_probs, inner = self.stepper.step(tokens, inner, context)
        log_probs, *memory = self.change(log_probs, tokens, *memory)
        return log_probs, (inner, *memory) if self.remembers else inner

    def read_ahead(self, tokens: Tensor, state: Any, context: State) -> tuple[Tensor, list[State]]:
        inner, *memory = state if self.remembers else (state,)
        log_probs, states = read_ahead(self.stepper, tokens, inner, context)
        if not self.remembers:  # then rows are rows
            log_probs = self.change(log_probs, tokens[: len(log_probs)])[0]
            count = _possible(log_probs, tokens)
            return log_probs[:count], states[:count]
        found: list[Tensor] = []
        following: list[State] = []
        for place, (given, after) in enumerate(zip(torch.split(log_probs, 1), states, strict=True)):
            row, *memory = self.change(given, tokens[place : place + 1], *memory)
            found.append(row)
            following.append((after, *memory) if self.remembers else after)
            if _is_impossible(row, tokens[place + 1 : place + 2].tolist()):
                break
        return torch.cat(found), following


@dataclass(frozen=True)
class _CheckedSteps:
    """Besides the state of `stepper`, that of this one has the sources and the steps so far."""

    stepper: Stepper

    def step(self, tokens: Tensor, state: Any, context: State) -> tuple[Tensor, State]:
        inner, sources, steps = state
        log_probs, inner = self.stepper.step(tokens, inner, context)
        check_scores(log_probs, sources, steps)
        return log_probs, (inner, sources, steps + 1)

    def read_ahead(self, tokens: Tensor, state: Any, context: State) -> tuple[Tensor, list[State]]:
        inner, sources, steps = state
        log_probs, states = read_ahead(self.stepper, tokens, inner, context)
        count = _possible(log_probs, tokens)
        every = steps + torch.arange(count + 1, device=steps.device)
        check_scores(log_probs[:count], sources.expand(count), every[:count])
        after = torch.split(every[1:], 1)
        return log_probs[:count], [
            (each, sources, step) for each, step in zip(states, after, strict=False)
        ]


def read_ahead(
    stepper: Stepper, tokens: Tensor, state: State, context: State
) -> tuple[Tensor, list[State]]:
    """Read `tokens: [time]` of a single row, one after the other: log-probabilities `[time, vocab]`
    and the state after each token.

    There may be fewer: what comes after a token that is impossible is not read. A stepper that can
    do this faster than by its steps has a method of this name.
    """
    own = getattr(stepper, "read_ahead", None)
    if own is not None:
        found: tuple[Tensor, list[State]] = own(tokens, state, context)
        return found
    rows, states = [], []
    for place, token in enumerate(torch.split(tokens, 1)):
        log_probs, state = stepper.step(token, state, context)
        rows.append(log_probs)
        states.append(state)
        if _is_impossible(log_probs, tokens[place + 1 : place + 2].tolist()):
            break
    return torch.cat(rows), states


def _is_impossible(log_probs: Tensor, token: list[int]) -> bool:
    """Whether `token`, one or none, may not come after a row of scores."""
    return any(float(log_probs[0, each]) <= DEAD_END for each in token)


def _possible(log_probs: Tensor, tokens: Tensor) -> int:
    """How many of the rows `log_probs: [rows, vocab]` say what comes after `tokens: [time]` that
    were possible: those up to the first after which the next token is not."""
    after = tokens[1 : len(log_probs) + 1].unsqueeze(1)
    given = log_probs[: len(after)].gather(1, after).squeeze(1)
    return next(
        (row + 1 for row, each in enumerate(given.tolist()) if each <= DEAD_END), len(log_probs)
    )


def constrain(
    chosen: Sequence[Constraint], stepper: Stepper, start: Start, limits: Limits, batch: Any = None
) -> Wrapped:
    """Wrap `stepper` in each of the constraints `chosen`, the first one innermost.

    Where they leave a row no token, its path is at a dead end: the row has DEAD_END at the end
    tokens and IMPOSSIBLE elsewhere, or DEAD_END throughout where there are no end tokens. Where
    `stepper` itself leaves a row no token, or NaN, that is a DecodeError.
    """
    if not chosen:
        return stepper, start
    sources = torch.arange(len(start.tokens), device=start.tokens.device)
    stepper, start = check_steps(stepper, start, sources)
    for each in chosen:
        stepper, start = each.wrap(stepper, start, limits, batch)
    ends = list(limits.ends)

    def mark_dead_ends(log_probs: Tensor, tokens: Tensor) -> tuple[Tensor]:
        nothing = log_probs.amax(-1) == IMPOSSIBLE
        if bool(nothing.any()):
            marked = torch.full_like(log_probs[0], IMPOSSIBLE)
            marked[ends or slice(None)] = DEAD_END
            log_probs = torch.where(nothing.unsqueeze(1), marked, log_probs)
        return (log_probs,)

    return intercept(stepper, start, mark_dead_ends)


def unmet(chosen: Sequence[Constraint], start: Start, limits: Limits, batch: Any) -> Tensor:
    """Which sources may not have as many tokens as one of `chosen` needs, `[batch]`; a warning
    names the constraint."""
    lengths, registry = limits.lengths(start), base.constraints
    found = torch.zeros_like(lengths, dtype=torch.bool)
    for each in chosen:
        least = each.least_tokens(batch)
        short = lengths < torch.as_tensor(least, device=lengths.device)
        if bool(short.any()):
            own = (name for name in registry.names() if registry.entry(name).factory is type(each))
            what = f"{next(own, type(each).__name__)} needs"
            if isinstance(least, int) and isinstance(limits.max_length, int):
                what += f" at least {least} tokens, but max_length is {limits.max_length}"
            else:
                what += " more tokens than some outputs may have"
            warnings.warn(f"the constraint {what}", stacklevel=3)
        found |= short
    return found


def can_go_on(log_probs: Tensor) -> bool:
    """Whether no row of `log_probs: [rows, vocab]` is at a dead end or faulty: nothing that
    `check_scores` would tell."""
    return all(DEAD_END < best < math.inf for best in log_probs.amax(-1).tolist())


def check_scores(log_probs: Tensor, sources: Tensor, step: int | Tensor) -> Tensor:
    """Which rows can go on, `[rows]`: False at a dead end.

    `sources: [rows]` name the rows; `step` is the number of steps before this one, of all rows or
    of each, `[rows]`. Raises DecodeError, which names the source and the step, unless every row of
    `log_probs: [rows, vocab]` has a finite maximum: NaN and +inf stay on top of a maximum, and it
    is -inf only where every token is impossible.
    """
    best = log_probs.amax(-1)
    fine = best.isfinite()
    if bool(fine.all()):
        return best > DEAD_END
    row = int((~fine).nonzero()[0])
    number = 1 + int(step[row] if isinstance(step, Tensor) else step)
    kind = "NaN" if bool(torch.isnan(best[row])) else f"{float(best[row])} as the best score"
    raise DecodeError(
        f"the model's scores for row {int(sources[row])} at step {number} have {kind}; "
        "no token can be chosen from them"
    )


def check_steps(stepper: Stepper, start: Start, sources: Tensor) -> Wrapped:
    """A stepper whose faulty scores are a DecodeError that names `sources: [batch]`, whatever is
    around it."""
    state = (start.state, sources, torch.zeros_like(sources))
    return _CheckedSteps(stepper), start._replace(state=state)


def checked(decoder: Decoder, vocab_size: int) -> Decoder:
    """`decoder`; if it comes from a plugin, one that finds the same, but raises PluginError where
    the decoder raises, or returns what no decoder may return."""
    return decoder if is_ours(decoder) else CheckedDecoder(decoder, vocab_size)


@final
class CheckedDecoder(Decoder):
    """Checks all that `decoder` returns. It is no strategy to be named in a recipe."""

    def __init__(self, decoder: Decoder, vocab_size: int) -> None:
        self.decoder = decoder
        self.vocab_size = vocab_size
        self.constraints = decoder.constraints
        self.draws = decoder.draws

    def decode(self, stepper: Stepper, start: Start, limits: Limits) -> list[list[Hypothesis]]:
        with blamed_on(self.decoder, "decode"):
            found = self.decoder.decode(stepper, start, limits)
            lengths = limits.lengths(start).tolist()
            fault = result_fault(found, len(lengths), self.vocab_size)
            for own, length in zip(found, lengths, strict=True) if not fault else ():
                for each in own:
                    fault = fault or sequence_fault(each, length, limits.ends)
        if fault:
            raise plugin_fault(self.decoder, fault)
        cut = [[_until_dead_end(each) for each in own] for own in found]
        return [[each for each in own if each.satisfied] or own[:1] for own in cut]


def result_fault(found: Any, sources: int, vocab_size: int) -> str:
    """What is wrong with the form of what `decode` returned for so many sources, if anything."""
    if not isinstance(found, list) or len(found) != sources:
        size = f" of {len(found)}" if isinstance(found, list) else ""
        return (
            f"`decode` must return a list with an entry for each of {sources} sources, "
            f"but returned a {type(found).__name__}{size}"
        )
    if not all(isinstance(own, list) and own for own in found):
        return "each source must have a list of at least one Hypothesis"
    return next(filter(None, (_form_fault(one, vocab_size) for own in found for one in own)), "")


def _form_fault(one: Any, vocab_size: int) -> str:
    if not isinstance(one, Hypothesis):
        return f"each result must be a Hypothesis, but one is a {type(one).__name__}"
    if not all(isinstance(token, int) and 0 <= token < vocab_size for token in one.tokens):
        return f"`tokens` must be a tuple of int below vocab_size, {vocab_size} (call .tolist)"
    if len(one.log_probs) != len(one.tokens):
        return "`log_probs` must have a number for each of `tokens`"
    numbers = (one.score, one.ranking_score, *one.log_probs)
    if not all(isinstance(each, float | int) and not math.isnan(each) for each in numbers):
        return "`score`, `rank` and `log_probs` must be plain numbers, and none is NaN"
    return ""


def sequence_fault(one: Hypothesis, length: int | None = None, ends: Sequence[int] = ()) -> str:
    """What is wrong with a sequence that may have `length` tokens and ends with one of `ends`."""
    if length is not None and len(one.tokens) > length:
        return (
            f"a sequence has {len(one.tokens)} tokens where `max_length` is {length}; the end "
            "token counts too, and each source may have a length of its own"
        )
    if set(one.tokens[:-1]) & set(ends):
        return "a sequence goes on after its end token; stop at the first one"
    return ""


def _until_dead_end(found: Hypothesis) -> Hypothesis:
    """A hypothesis that goes on after a dead end, as `constrain` lets it, up to there."""
    given = found.log_probs
    size = next((place for place, each in enumerate(given) if each <= DEAD_END), None)
    if size is None:
        return found
    tokens, given = found.tokens[:size], given[:size]
    return found._replace(
        tokens=tokens, score=sum(given), finished=False, log_probs=given, satisfied=False
    )
