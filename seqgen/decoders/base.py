"""The contract of a decoder: a search over something that can take a step."""

from __future__ import annotations

import math
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple, Protocol, final

import torch
from torch import Tensor

from seqgen.errors import DecodeError, PluginError, SeqgenError
from seqgen.registry import Registry, is_ours, place_of
from seqgen.state import State

# What a search begins from: a Stepper, the Start of its sources, and their Limits.


class Stepper(Protocol):
    """All that a decoder knows of a model. What changes scores wraps one and is one again."""

    def step(self, tokens: Tensor, state: State, context: State) -> tuple[Tensor, State]:
        """Read `tokens: [rows]`; return log-probabilities `[rows, vocab]` and the next state.

        `state` has a row for each of `rows`, `context` one for each source. `rows` is k times the
        sources, where rows i*k to i*k + k - 1 belong to source i: with 2 sources of 3 paths each,
        rows 0 1 2 read context 0 and rows 3 4 5 read context 1. A decoder keeps k the same for all
        sources, or reorders the context down to k = 1.
        """
        ...


class Start(NamedTuple):
    """Where generation begins, for each source of a batch.

    `tokens: [batch]` is what the first step reads, `state` has a row for each source, `context`
    never changes. `numbers: [batch]` names the sequences, for decoders that draw at random: what
    is drawn depends on the seed and the number alone. Without it they are 0, 1, 2, ...
    """

    tokens: Tensor
    state: State
    context: State = None
    numbers: Tensor | None = None


@dataclass(frozen=True)
class Limits:
    """When a sequence is over.

    `max_length` counts generated tokens, the end token included; one number for all sources or
    one for each. `ends` are the tokens that end a sequence (none: only the length ends it).
    """

    max_length: int | Sequence[int]
    ends: tuple[int, ...] = ()

    def lengths(self, start: Start) -> Tensor:
        """The maximum length of each source, `[batch]`."""
        batch = start.tokens.shape[0]
        if isinstance(self.max_length, int):
            return torch.full((batch,), self.max_length, device=start.tokens.device)
        if len(self.max_length) != batch:
            raise ValueError(
                f"`max_length` must have {batch} numbers, but has {len(self.max_length)}"
            )
        return torch.tensor(self.max_length, device=start.tokens.device)


# The contract of a constraint: what changes the scores that a search sees.


constraints: Registry[Constraint] = Registry(
    "constraint", supplied={"vocab_size", "encode", "load"}
)
"""Supplied: the number of tokens; `encode(text)`, its tokens as a list; `load(run)`, the model of
a run directory that has the same tokens (something with `start(batch)` and `step`), to be called
no sooner than in `wrap`."""


class Constraint(ABC):
    """Changes the scores of any stepper by wrapping it, and so the search around it stays small.

    What must be remembered from step to step (a count, the tokens so far) goes into the wrapped
    state, a row for each path with batch on dimension 0, so a search moves it about with the rest.

    A token that it forbids has -inf and stays so, whatever else is around: of several constraints
    all hold, in any order. That nothing is left to a path is seen to in one place, `constrain`.
    """

    @abstractmethod
    def wrap(
        self, stepper: Stepper, start: Start, limits: Limits, batch: Any
    ) -> tuple[Stepper, Start]:
        """A stepper around `stepper`, and the start that belongs to it.

        `start` has one row for each source. `batch` is what the model's own start was made of, for
        constraints that read it with a model of theirs.
        """

    def least_tokens(self, batch: Any) -> int | Tensor:
        """How many tokens a sequence needs at least to satisfy it, an end token not counted: one
        number for all sources or one for each, `[batch]`."""
        return 0


ConstraintFactory = Annotated[Callable[..., Constraint], constraints]
"""Called with what the registry supplies, it returns the constraint."""


def constrain(
    chosen: Sequence[Constraint], stepper: Stepper, start: Start, limits: Limits, batch: Any = None
) -> tuple[Stepper, Start]:
    """Wrap `stepper` in each of the constraints `chosen`, the first one innermost.

    Where they leave a row nothing, its path is at a dead end: the row has DEAD_END at the end
    tokens and -inf elsewhere, or DEAD_END throughout where there are no end tokens. Where `stepper`
    itself has nothing, or NaN, that is a DecodeError.
    """
    if not chosen:
        return stepper, start
    start = CheckedStepper.begin(start, torch.arange(len(start.tokens), device=start.tokens.device))
    stepper = CheckedStepper(stepper)
    for each in chosen:
        stepper, start = each.wrap(stepper, start, limits, batch)
    return _Constrained(stepper, limits.ends), start


def unmet(chosen: Sequence[Constraint], start: Start, limits: Limits, batch: Any) -> Tensor:
    """Which sources may not have as many tokens as one of `chosen` needs, `[batch]`; a warning
    names the constraint."""
    found = torch.zeros_like(start.tokens, dtype=torch.bool)
    for each in chosen:
        least = each.least_tokens(batch)
        short = limits.lengths(start) < (
            least if isinstance(least, int) else least.to(found.device)
        )
        if bool(short.any()):
            own = (n for n in constraints.names() if constraints.entry(n).factory is type(each))
            what = f"{next(own, type(each).__name__)} needs"
            if isinstance(least, int) and isinstance(limits.max_length, int):
                what += f" at least {least} tokens, but max_length is {limits.max_length}"
            else:
                what += " more tokens than some outputs may have"
            warnings.warn(f"the constraint {what}", stacklevel=3)
        found |= short
    return found


class _Constrained:
    """A stepper in which dead ends are marked."""

    def __init__(self, stepper: Stepper, ends: Sequence[int]) -> None:
        self.stepper = stepper
        self.ends = list(ends)

    def step(self, tokens: Tensor, state: State, context: State) -> tuple[Tensor, State]:
        """`tokens: [rows]` to `[rows, vocab]`."""
        log_probs, state = self.stepper.step(tokens, state, context)
        nothing = log_probs.amax(-1) == float("-inf")
        if bool(nothing.any()):
            marked = torch.full_like(log_probs[0], float("-inf"))
            marked[self.ends or slice(None)] = DEAD_END
            log_probs = torch.where(nothing.unsqueeze(1), marked, log_probs)
        return log_probs, state


class Hypothesis(NamedTuple):
    """A generated sequence.

    `tokens` end with the end token if `finished`. `score` is the sum of `log_probs`, what the
    stepper gave to each of the tokens. A list of hypotheses is sorted by `rank` where the decoder
    has one (a score normalised by length, say), else by `score`. `complete` is False where a search
    ran out of its budget before it could tell that no better sequence is missing above this one.
    `satisfied` is False where nothing that the search has found satisfies all constraints; then the
    tokens lead to where they left no token possible.
    """

    tokens: tuple[int, ...]
    score: float
    finished: bool
    log_probs: tuple[float, ...] = ()
    rank: float | None = None
    complete: bool = True
    satisfied: bool = True


class Decoder(ABC):
    """A search strategy: which sequences to follow, given the scores of the next token.

    `constraints` change the scores before the search sees them. They wrap the stepper, so `decode`
    knows nothing of them: whoever makes the start applies them, with `constrain`. Where these
    leave a path nothing (`scores.open_rows`), it is dropped; where all are, the source has the
    longest of them, the most probable of equals, as its one hypothesis, not `satisfied`.
    """

    constraints: tuple[Constraint, ...] = ()
    draws: bool = True
    """Whether another sample of a source may be another sequence."""

    @abstractmethod
    def decode(self, stepper: Stepper, start: Start, limits: Limits) -> list[list[Hypothesis]]:
        """For each source its hypotheses, the best first. Errors: DecodeError on NaN scores."""


def with_constraints(
    decoder: Decoder, constraints: Sequence[ConstraintFactory] = (), **supplied: Any
) -> Decoder:
    """`decoder`, which carries `constraints`: an option that every decoder has."""
    decoder.constraints = tuple(make(**supplied) for make in constraints)
    return decoder


def watched(decoder: Decoder, constraint: Constraint) -> Decoder:
    """A copy of `decoder` that has `constraint` around those of its own: it sees what the search
    sees. `decoder` stays as it is."""
    copied = copy(decoder)
    copied.constraints = (*decoder.constraints, constraint)
    return copied


decoders: Registry[Decoder] = Registry(
    "decoder", supplied={"seed", "vocab_size", "encode", "load"}, finishing=with_constraints
)

DecoderFactory = Annotated[Callable[..., Decoder], decoders]
"""Called with `seed=` and `vocab_size=`, it returns the decoder; `encode=` and `load=` are for its
constraints."""


# The checks of scores: no token is ever chosen from NaN, nor where nothing is possible.


DEAD_END = -(2.0**100)
"""The best score of a row in which constraints left no token possible, see `constrain`: the path
that it belongs to ends there and satisfies them in no way. Finite, so that a decoder from outside
goes on as it always did, and so low that any other path is better."""


def check_scores(log_probs: Tensor, sources: Tensor, moment: int | Tensor) -> None:
    """A DecodeError that names the step and the source unless every row has a finite maximum.

    `moment` is the number of steps before this one, of all rows or of each, `[rows]`.

    One maximum a row finds all three faults of `log_probs: [rows, vocab]`: NaN and +inf stay on
    top of a maximum, and it is -inf only where every token is impossible.
    """
    open_rows(log_probs, sources, moment)


def open_rows(log_probs: Tensor, sources: Tensor, moment: int | Tensor) -> Tensor:
    """`[rows]`, False where a path has come to a dead end. Raises DecodeError as `check_scores`."""
    best = log_probs.amax(-1)
    fine = best.isfinite()
    if bool(fine.all()):
        return best > DEAD_END
    row = int((~fine).nonzero()[0])
    step = 1 + int(moment[row] if isinstance(moment, Tensor) else moment)
    kind = "NaN" if bool(torch.isnan(best[row])) else f"{float(best[row])} as the best score"
    raise DecodeError(
        f"the model's scores for row {int(sources[row])} at step {step} have {kind}; "
        "no token can be chosen from them"
    )


class CheckedStepper:
    """A stepper whose faulty scores are a DecodeError, named by `sources`, whatever is around it.

    Its state knows the source and the step of each row.
    """

    def __init__(self, stepper: Stepper) -> None:
        self.stepper = stepper

    @staticmethod
    def begin(start: Start, sources: Tensor) -> Start:
        """The start of a checked stepper, whose rows belong to `sources: [batch]`."""
        return start._replace(state=(start.state, sources, torch.zeros_like(sources)))

    def step(self, tokens: Tensor, state: Any, context: State) -> tuple[Tensor, State]:
        """`tokens: [rows]` to `[rows, vocab]`. Raises DecodeError."""
        inner, sources, steps = state
        log_probs, inner = self.stepper.step(tokens, inner, context)
        check_scores(log_probs, sources, steps)
        return log_probs, (inner, sources, steps + 1)


# Held, a decoder from outside the package whose findings are held to the contract.


def held(decoder: Decoder, vocab_size: int) -> Decoder:
    """`decoder`; if it comes from outside the package, one that finds the same, but ends with a
    PluginError where it raises, or returns what no decoder may return."""
    return decoder if is_ours(decoder) else Held(decoder, vocab_size)


@final
class Held(Decoder):
    """Looks at all that `decoder` returns. It is no strategy to be named in a recipe."""

    def __init__(self, decoder: Decoder, vocab_size: int) -> None:
        self.decoder = decoder
        self.vocab_size = vocab_size
        self.constraints = decoder.constraints
        self.draws = decoder.draws

    def decode(self, stepper: Stepper, start: Start, limits: Limits) -> list[list[Hypothesis]]:
        """What the decoder finds. Errors: PluginError, and what it raises of seqgen's own."""
        place = place_of(type(self.decoder))
        name = f"the decoder {type(self.decoder).__name__} ({place})"
        more = f" (seqgen check {place.rpartition(':')[0]} says more)"
        try:
            found = self.decoder.decode(stepper, start, limits)
            fault = self._fault(found, limits.lengths(start).tolist(), limits.ends)
        except (SeqgenError, MemoryError):
            raise
        except Exception as error:  # someone else's code
            reason = " ".join(str(error).split())
            message = f"{name}: `decode` raised {type(error).__name__}: {reason}{more}"
            raise PluginError(message) from error
        if fault:
            raise PluginError(f"{name}: {fault}{more}")
        cut = [[_until_dead_end(each) for each in own] for own in found]
        return [[each for each in own if each.satisfied] or own[:1] for own in cut]

    def _fault(self, found: Any, lengths: list[int], ends: tuple[int, ...]) -> str:
        """What is wrong with what was found, if anything."""
        if not isinstance(found, list) or len(found) != len(lengths):
            size = f" of {len(found)}" if isinstance(found, list) else ""
            return (
                f"`decode` must return a list with an entry for each of {len(lengths)} sources, "
                f"but returned a {type(found).__name__}{size}"
            )
        for own, length in zip(found, lengths, strict=True):
            if not isinstance(own, list) or not own:
                return "each source must have a list of at least one Hypothesis"
            faults = (self._fault_of(each, length, ends) for each in own)
            fault = next(filter(None, faults), "")
            if fault:
                return fault
        return ""

    def _fault_of(self, one: Any, length: int, ends: tuple[int, ...]) -> str:
        if not isinstance(one, Hypothesis):
            return f"each result must be a Hypothesis, but one is a {type(one).__name__}"
        return self._fault_of_tokens(one, length, ends) or _fault_of_numbers(one)

    def _fault_of_tokens(self, one: Hypothesis, length: int, ends: tuple[int, ...]) -> str:
        known = range(self.vocab_size)
        if not all(isinstance(token, int) and token in known for token in one.tokens):
            return f"`tokens` must be a tuple of int below vocab_size, which is {len(known)}"
        if len(one.tokens) > length:
            return f"a sequence has {len(one.tokens)} tokens where `max_length` is {length}"
        return "a sequence goes on behind its end token" if set(one.tokens[:-1]) & set(ends) else ""


def _until_dead_end(found: Hypothesis) -> Hypothesis:
    """A hypothesis that goes on behind a dead end, as `constrain` lets it, up to there."""
    given = found.log_probs
    size = next((place for place, each in enumerate(given) if each <= DEAD_END), None)
    if size is None:
        return found
    return found._replace(
        tokens=found.tokens[:size],
        score=sum(given[:size]),
        finished=False,
        log_probs=given[:size],
        satisfied=False,
    )


def _fault_of_numbers(one: Hypothesis) -> str:
    if len(one.log_probs) != len(one.tokens):
        return "`log_probs` must have a number for each of `tokens`"
    numbers: list[Any] = [one.score, *one.log_probs, *(() if one.rank is None else (one.rank,))]
    if not all(isinstance(each, float | int) and not math.isnan(each) for each in numbers):
        return "`score`, `rank` and `log_probs` must be plain numbers, and none is NaN"
    return ""
