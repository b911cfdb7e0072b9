"""The contract of a decoder: a search over something that can take a step.

A *stepper* gives the scores of the next token. A *path* is a sequence that a search still extends,
a *hypothesis* one that is over. A *constraint* changes scores before the search sees them, and a
path to which it leaves no token is at a *dead end*.
"""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence, Set
from copy import copy
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, Protocol, get_args

import torch
from torch import Tensor

from seqgen.registry import Registry, check_fields
from seqgen.state import State, repeat


class Stepper(Protocol):
    """All that a decoder knows of a model. A constraint wraps one and is one itself."""

    def step(self, tokens: Tensor, state: State, context: State) -> tuple[Tensor, State]:
        """Read `tokens: [rows]`; return log-probabilities `[rows, vocab]` and the next state.

        `state` has a row for each of `rows`, `context` one for each source. `rows` is k times the
        sources, where rows `i*k` to `i*k + k - 1` belong to source i: with 2 sources of 3 paths
        each, rows 0 1 2 read context 0 and rows 3 4 5 read context 1. A decoder keeps k the same
        for all sources, or reorders the context down to k = 1.
        """
        ...


class Start(NamedTuple):
    """Where generation begins, one row for each source of a batch.

    `tokens: [batch]` is what the first step reads, `state` has a row for each source, `context`
    never changes. `sequence_ids: [batch]` name the sequences for decoders that draw at random: what
    is drawn depends on the seed and the id alone.
    """

    tokens: Tensor
    state: State
    context: State = None
    sequence_ids: Tensor | None = None

    @property
    def ids(self) -> Tensor:
        """`sequence_ids`, which are 0, 1, 2, ... where none are given."""
        if self.sequence_ids is None:
            return torch.arange(len(self.tokens), device=self.tokens.device)
        return self.sequence_ids

    def copies(self, times: int) -> tuple[Start, Tensor]:
        """Each source `times` times in a row, and which copy of its source each row is."""
        which = torch.arange(times, device=self.tokens.device).repeat(len(self.tokens))
        return repeat(self._replace(sequence_ids=self.ids), times), which

    @property
    def numbers(self) -> Tensor | None:
        """The old name of `sequence_ids`."""
        message = "Start.numbers is now called sequence_ids"
        warnings.warn(message, DeprecationWarning, stacklevel=2)
        return self.sequence_ids


@dataclass(frozen=True)
class Limits:
    """When a sequence ends.

    `max_length` counts generated tokens, the end token included; one number for all sources or
    one for each. `ends` are the tokens that end a sequence (none: only the length ends it).
    """

    max_length: int | Sequence[int]
    ends: tuple[int, ...] = ()

    def lengths(self, start: Start) -> Tensor:
        """The maximum length of each source, `[batch]`."""
        batch, most = len(start.tokens), self.max_length
        if isinstance(most, int):
            return torch.full((batch,), most, device=start.tokens.device)
        if len(most) != batch:
            raise ValueError(f"`max_length` must have {batch} numbers, but has {len(most)}")
        return torch.tensor(most, device=start.tokens.device)

    def copies(self, times: int) -> Limits:
        """The limits of `times` copies of each source."""
        if isinstance(self.max_length, int):
            return self
        return Limits([most for most in self.max_length for _ in range(times)], self.ends)


class Hypothesis(NamedTuple):
    """A generated sequence.

    `tokens` end with the end token if `finished`. `score` is the sum of `log_probs`, what the
    stepper gave to each of the tokens. `rank` is what a decoder sorts by where that is not the
    score (one normalised by length, say). `complete` is False where a search ran out of its budget
    before it was certain that no better sequence is missing above this one. `satisfied` is False
    where no sequence that the search has found satisfies all constraints; then the tokens lead to
    where no token was possible any more.

    Decoders leave the last two as they are; whoever knows the text says in `finish_reason` why the
    sequence ended (one of FINISH_REASONS), and in `stop` which stop string or stop token it was.
    One that a stop string ended is `finished`, with no end token: its tokens lead to the one in
    which the string is complete.
    """

    tokens: tuple[int, ...]
    score: float
    finished: bool
    log_probs: tuple[float, ...] = ()
    rank: float | None = None
    complete: bool = True
    satisfied: bool = True
    finish_reason: str = ""
    stop: str = ""

    @property
    def ranking_score(self) -> float:
        """What hypotheses are sorted by: the rank, or the score where there is none."""
        return self.score if self.rank is None else self.rank


FINISH_REASONS = ("end", "stop", "length", "time", "constraints")
"""The end token; a stop string or stop token; the maximum length; `max_seconds`; constraints that
left no token."""

constraints: Registry[Constraint] = Registry(
    "constraint", supplied={"vocab_size", "encode", "contents", "looks_back", "load"}
)
"""Supplied: the number of tokens; `encode(text)`, its tokens as a list; `contents()`, what tokens
add to a text (`Tokenizer.contents`); `looks_back`, whether the model has attention; `load(run)`,
the model of a run directory that has the same tokens (a `SecondaryModel`), and `load(None)`, the
run's own model as it reads empty sources, to be called no sooner than in `wrap`."""

Wrapped = tuple[Stepper, Start]
"""A stepper around a stepper, and the start that belongs to it."""


class Constraint(ABC):
    """Changes the scores of any stepper by wrapping it, which keeps the searches small.

    What must be remembered from step to step (a count, the tokens so far) goes into the wrapped
    state, a row for each path with batch on dimension 0, so a search reorders it with the rest;
    `intercept` does that.

    A forbidden token has -inf and keeps it, whatever other constraints do: all of them hold, in any
    order. Dead ends are handled in one place, `constrain`. One that only `watches` stands around
    all others.
    """

    watches: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_fields(self)

    @abstractmethod
    def wrap(self, stepper: Stepper, start: Start, limits: Limits, batch: Any) -> Wrapped:
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


Claim = Literal["greedy", "beam", "best", "sample", "temperature"]
"""What a decoder may promise besides what all of them keep; `seqgen check` tries what is claimed.

- `greedy`: it finds what greedy search finds.
- `beam`: with the option `beam_size`, a beam of 1 is greedy, and one as wide as the space finds the
  best of all sequences, in their order.
- `best`: what it finds are the best of all sequences, in their order.
- `sample`: its first hypothesis is drawn token by token as `weights` says.
- `temperature`: with the option `temperature`, it is greedy at 0.

Where it has the options `length_normalisation` and `groups`, these are meant at `none` and 1.
"""

CLAIMS: tuple[Claim, ...] = get_args(Claim)


class Decoder(ABC):
    """A search strategy: which sequences to follow, given the scores of the next token.

    `constraints` change the scores before the search sees them. They wrap the stepper, so `decode`
    knows nothing of them: whoever makes the start applies them, with `constrain`. A path at a dead
    end (`check_scores`) is dropped; where all are, the one hypothesis of the source is the longest
    of them, not `satisfied`; ties go to the most probable.
    """

    constraints: tuple[Constraint, ...] = ()
    draws: bool = True
    """Whether another sample of a source may be another sequence."""
    streams: ClassVar[bool] = False
    """Whether it is a `PathDecoder`, whose tokens are known one by one."""
    claims: ClassVar[Set[Claim]] = frozenset()
    """What it promises besides, see `Claim`."""

    def __post_init__(self) -> None:
        check_fields(self)

    def weights(self, log_probs: Tensor) -> Tensor:
        """How likely a decoder that claims `sample` is to draw each token, `[rows, vocab]` in
        float64, but for a factor of each row; by default as likely as the model says."""
        return log_probs.softmax(-1, dtype=torch.float64)

    @abstractmethod
    def decode(self, stepper: Stepper, start: Start, limits: Limits) -> list[list[Hypothesis]]:
        """For each source its hypotheses, the best first. Raises DecodeError if scores are NaN."""


def with_constraints(
    decoder: Decoder, constraints: Sequence[ConstraintFactory] = (), **supplied: Any
) -> Decoder:
    """`decoder` with its `constraints`, an option that every decoder has; what it has of its own
    comes around them."""
    decoder.constraints = (*(make(**supplied) for make in constraints), *decoder.constraints)
    return decoder


def watched(decoder: Decoder, constraint: Constraint) -> Decoder:
    """A copy of `decoder` that has `constraint` around its own: it sees what the search sees."""
    copied = copy(decoder)
    copied.constraints = (*decoder.constraints, constraint)
    return copied


decoders: Registry[Decoder] = Registry(
    "decoder",
    supplied={"seed", "vocab_size", "encode", "contents", "looks_back", "load"},
    finishing=with_constraints,
)

DecoderFactory = Annotated[Callable[..., Decoder], decoders]
"""Called with `seed=` and `vocab_size=`, it returns the decoder; `encode=`, `contents=`,
`looks_back=` and `load=` are for its constraints."""
