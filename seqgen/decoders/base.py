"""The contract of a decoder: a search over something that can take a step."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from copy import copy
from typing import Annotated, Any, NamedTuple

from seqgen.decoders.constraint import Constraint, ConstraintFactory
from seqgen.decoders.stepper import Limits, Start, Stepper
from seqgen.registry import Registry


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
