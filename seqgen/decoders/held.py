"""Held, a decoder from outside the package whose findings are held to the contract."""

from __future__ import annotations

import math
from typing import Any, final

from seqgen.callables import is_ours, place_of
from seqgen.decoders.base import Decoder, Hypothesis
from seqgen.decoders.scores import DEAD_END
from seqgen.decoders.stepper import Limits, Start, Stepper
from seqgen.errors import PluginError, SeqgenError


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
