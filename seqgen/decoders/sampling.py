"""Decoders of one path, token by token: greedy search, and samplers, which draw at random.

What may be drawn is said by truncations, see `truncating`. To add a sampler that these cannot say:
subclass `Sampler`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial, reduce
from inspect import Parameter, Signature
from itertools import islice
from operator import add
from typing import Any, ClassVar, NamedTuple, final

import torch
from torch import Tensor

from seqgen.decoders import base
from seqgen.decoders.base import Decoder, Hypothesis, Limits, Start, Stepper
from seqgen.decoders.guards import IMPOSSIBLE, can_go_on, check_scores
from seqgen.decoders.noise import StepNoise, uniform
from seqgen.decoders.truncating import (
    TruncationFactory,
    checked_keep,
    compiled_form,
    row_sum,
    truncations,
)
from seqgen.fast import Block, Choice, compiled_text
from seqgen.options import Temperature, options_of
from seqgen.registry import check_bounds
from seqgen.state import State, reorder


class Extension(NamedTuple):
    """One step of a walk, all `[rows]`: the sources still alive, their new tokens, what the
    stepper gave to these (log-probabilities), and which of the rows end with this step."""

    sources: Tensor
    tokens: Tensor
    log_probs: Tensor
    finished: Tensor


class PathDecoder(Decoder, ABC):
    """A decoder that picks one token for each row and never looks back, so it can stream.

    A subclass says which token. A row that ends leaves the batch at once. A text of a single row
    that may have `compiled_from` tokens is made by a compiled function, where there can be one.
    """

    streams = True
    seed: int = 0
    compiled_from: ClassVar[int] = 50_000

    @property
    def choice(self) -> Choice | None:
        """How it finds a token, if that is such as a compiled function can."""
        return None

    @abstractmethod
    def choose(self, log_probs: Tensor, sequence_ids: Tensor, step: int) -> Tensor:
        """The next token of each row, `[rows]`, from `log_probs: [rows, vocab]`.

        `sequence_ids: [rows]` name the sequences and `step` counts the tokens before this one: all
        that a random choice may depend on besides the seed. Those of this package also take a step
        of each row, `[rows]`, by which a server goes on with texts that began at different times.
        """

    def walk(self, stepper: Stepper, start: Start, limits: Limits) -> Iterator[Extension]:
        """Yield one Extension for each step until every row has ended.

        A row at a dead end leaves without another token: it is neither finished nor at its limit.
        Nothing is compiled first, so the first step comes at once.
        """
        return self._extensions(stepper, start, limits)

    def _extensions(
        self, stepper: Stepper, start: Start, limits: Limits, *, compiled: bool = False
    ) -> Iterator[Extension]:
        """As `walk`; where some of it may be `compiled`, several steps of a single row may be one
        Extension."""
        tokens, state, context = start[:3]
        sources = torch.arange(tokens.shape[0], device=tokens.device)
        # Of each row its source, its sequence, and how many tokens it may have.
        own = (sources, start.ids, limits.lengths(start))
        ending = set(limits.ends)
        ends = torch.tensor(limits.ends, dtype=tokens.dtype, device=tokens.device)
        keep = own[2] > 0
        step = 0
        blocks = self._compiled(stepper, start, limits) if compiled else ()
        for found, given, following in blocks:
            over = torch.isin(found, ends)
            yield Extension(sources.expand(len(found)), found, given, over)
            tokens, state, step = found[-1:], following, step + len(found)
            keep = ~over[-1:] & (own[2] > step)
        until = step  # at that step, at the latest, a row is at its limit
        while True:
            if step == until:
                if not bool(keep.all()):
                    rows = keep.nonzero().squeeze(1)
                    tokens, state, context, own = reorder((tokens, state, context, own), rows)
                if not len(tokens):
                    return
                until = int(own[2].amin())
                none_finished = torch.zeros_like(tokens, dtype=torch.bool)
                places = None
            log_probs, state = stepper.step(tokens, state, context)
            if not can_go_on(log_probs):
                rows = check_scores(log_probs, own[0], step).nonzero().squeeze(1)
                log_probs, state, context, own = reorder((log_probs, state, context, own), rows)
                if not len(rows):
                    return
                none_finished, places = none_finished[: len(rows)], None
            sources, sequence_ids, room = own
            tokens = self.choose(log_probs, sequence_ids, step)
            if places is None:  # where each row begins in the flattened scores
                places = torch.arange(0, log_probs.numel(), log_probs.shape[1], device=ends.device)
            chosen = log_probs.take(places + tokens)
            finished = none_finished
            step += 1
            if step == until or (ending and not ending.isdisjoint(tokens.tolist())):
                finished, until = torch.isin(tokens, ends), step
                keep = ~finished & (room > step)
            yield Extension(sources, tokens, chosen, finished)

    def _compiled(self, stepper: Stepper, start: Start, limits: Limits) -> Iterator[Block]:
        """The beginning of a long text of a single row, as far as a compiled function goes."""
        most, choice = limits.lengths(start).tolist(), self.choice
        if choice is None or self.constraints or len(most) != 1 or most[0] < self.compiled_from:
            return

        def step(tokens: Tensor, state: State) -> tuple[Tensor, State]:
            return stepper.step(tokens, state, start.context)

        def points(steps: Tensor) -> Tensor:
            return uniform(self.seed, start.ids, steps.unsqueeze(1)).squeeze(1)

        text = compiled_text(step, start.tokens, start.state, choice)
        if text is not None:
            token = int(start.tokens)
            yield from text.blocks(token, start.state, points, most=most[0], ends=limits.ends)

    def decode(self, stepper: Stepper, start: Start, limits: Limits) -> list[list[Hypothesis]]:
        lengths = limits.lengths(start).tolist()
        steps = [*self._extensions(stepper, start, limits, compiled=True)]
        if not steps:  # no row has room for a token
            steps = [Extension(*[start.tokens.new_empty(0)] * 4)]
        sources, tokens, log_probs, _ = map(torch.cat, zip(*steps, strict=True))
        order = sources.argsort(stable=True)  # by source, then by time
        counts = sources.bincount(minlength=len(lengths)).tolist()
        chosen, shares = iter(tokens[order].tolist()), iter(log_probs[order].tolist())
        return [
            [walked(tuple(islice(chosen, count)), tuple(islice(shares, count)), limits.ends, most)]
            for count, most in zip(counts, lengths, strict=True)
        ]


def walked(
    tokens: tuple[int, ...], given: tuple[float, ...], ends: Collection[int], length: int
) -> Hypothesis:
    """What a walk has found that may have `length` tokens, with what was `given` to each."""
    score = reduce(add, given, 0.0)  # `sum` would be more exact than the sums of a beam
    finished = bool(tokens) and tokens[-1] in ends
    return Hypothesis(tokens, score, finished, given, satisfied=finished or len(tokens) == length)


@base.decoders.register("greedy")
class Greedy(PathDecoder):
    """The most probable token at each step; ties go to the lowest id."""

    draws = False
    claims = frozenset({"greedy"})

    @property
    def choice(self) -> Choice:
        return Choice(temperature=0)

    def choose(self, log_probs: Tensor, sequence_ids: Tensor, step: int) -> Tensor:
        return log_probs.argmax(-1)


@final
class Forced(PathDecoder):
    """Takes the tokens that it is given: `sequences`, by the ids of the starts.

    A sequence must have as many tokens as its source's limit. It is no strategy to be named in a
    recipe, but the way to ask any stepper how probable a sequence is to it.
    """

    draws = False

    def __init__(self, sequences: Mapping[int, Sequence[int]]) -> None:
        self.sequences = sequences

    def choose(self, log_probs: Tensor, sequence_ids: Tensor, step: int) -> Tensor:
        tokens = [self.sequences[each][step] for each in sequence_ids.tolist()]
        return sequence_ids.new_tensor(tokens)


HOTTEST = 1e9
"""The highest finite temperature. At `inf`, truncations see what they would see at this one, where
tokens still differ enough to have an order, and the draw from what they leave is even."""


class Sampler(PathDecoder, ABC):
    """Draw from `p(token) ** (1 / temperature)`, normalised over the tokens that `truncate` keeps.

    Temperature 1 is the model's own distribution, below 1 is bolder, above 1 wilder; 0 is greedy,
    and inf draws evenly from what is allowed. The temperature comes first, the truncation sees its
    result. Each sequence draws from its own stream, see `noise`.
    """

    claims = frozenset({"sample"})
    seed: int
    temperature: float
    temperature_last: bool = False

    def __init__(self, seed: int, temperature: float) -> None:
        # For a subclass that is no dataclass.
        check_bounds("temperature", Temperature, temperature)
        self.seed = seed
        self.temperature = temperature
        self.draws = temperature > 0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.draws = self.temperature > 0

    @abstractmethod
    def truncate(self, log_probs: Tensor) -> Tensor:
        """`log_probs: [rows, vocab]` in float64, IMPOSSIBLE for tokens that may not be drawn.

        At least one must stay. What a row keeps must not depend on the other rows.
        """

    def choose(self, log_probs: Tensor, sequence_ids: Tensor, step: int) -> Tensor:
        """The first token at which the cumulative probability exceeds a uniform number."""
        if self.temperature == 0 and not self.temperature_last:
            return log_probs.argmax(-1)
        cumulative = self.weights(log_probs).cumsum(-1)
        # Scaled by the last sum (all that was kept), the number falls before the last possible
        # token's end; `right` steps over tokens of probability zero.
        noise: StepNoise | None = vars(self).get("_noise")
        if noise is None:
            noise = vars(self)["_noise"] = StepNoise()
        points = noise(self.seed, sequence_ids, step) * cumulative[:, -1:]
        return torch.searchsorted(cumulative, points, right=True).squeeze(1)

    def weights(self, log_probs: Tensor) -> Tensor:
        kept = self.truncate(at_temperature(log_probs, min(self.temperature, HOTTEST))).exp()
        return kept if self.temperature <= HOTTEST else kept.sign()


def at_temperature(log_probs: Tensor, temperature: float) -> Tensor:
    """`log softmax(log_probs / temperature)` in float64, stable from 1e-4 to 100 and beyond.

    0 and inf are the limits: the first of the most probable tokens alone; all possible ones evenly.
    """
    if temperature == 0:
        first = log_probs.argmax(-1, keepdim=True)
        return torch.full_like(log_probs, IMPOSSIBLE).double().scatter_(-1, first, 0.0)
    top = log_probs.amax(-1, keepdim=True)  # taken off first: tiny temperatures cannot overflow
    return ((log_probs - top).double() / min(temperature, 1e300)).log_softmax(-1)


class ShareSampler(Sampler, ABC):
    """A sampler that truncates by probabilities: fewer operations than by their logarithms."""

    @abstractmethod
    def keep(self, shares: Tensor) -> Tensor:
        """The probabilities `shares: [rows, vocab]` in float64, 0 for tokens that may not come. A
        new tensor or the same, which may be overwritten."""

    def truncate(self, log_probs: Tensor) -> Tensor:
        return log_probs.masked_fill(self.keep(log_probs.exp()) == 0, IMPOSSIBLE)

    def weights(self, log_probs: Tensor) -> Tensor:
        if self.temperature == 1:
            return self.keep(log_probs.softmax(-1, dtype=torch.float64))
        if 1e-3 <= self.temperature <= 1e3:  # beyond, a quotient could lose what it has of digits
            return self.keep((log_probs.double() / self.temperature).softmax(-1))
        kept = self.keep(at_temperature(log_probs, min(self.temperature, HOTTEST)).exp())
        return kept if self.temperature <= HOTTEST else kept.sign()


@base.decoders.register("multinomial")
@final
@dataclass
class Multinomial(ShareSampler):
    """Draw from `p(token) ** (1 / temperature)`, normalised over the tokens that may come.

    1 is the model's own distribution, below 1 is bolder, above 1 wilder; 0 is greedy, .inf is even.
    The `truncations` come one after the other, each sees what the one before has left, normalised.
    They come after the temperature, or before it if it is `temperature_last`.
    """

    claims = frozenset({"sample", "temperature"})

    seed: int = 0
    temperature: Temperature = 1.0
    truncations: tuple[TruncationFactory, ...] = ()
    temperature_last: bool = False
    vocab_size: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        supplied = {"vocab_size": self.vocab_size}
        self._parts = tuple(truncations.build(each, **supplied) for each in self.truncations)
        self._cuts = tuple(map(checked_keep, self._parts))
        self.draws &= all(each.draws for each in self._parts)

    @property
    def choice(self) -> Choice | None:
        cuts = [compiled_form(each) for each in self._parts]
        known = tuple(each for each in cuts if each is not None)
        if type(self) is not Multinomial or len(known) < len(cuts):
            return None
        return Choice(self.temperature, known, self.temperature_last)

    def keep(self, shares: Tensor) -> Tensor:
        for place, cut in enumerate(self._cuts):
            shares = cut(shares / row_sum(shares) if place else shares)
        return shares

    def weights(self, log_probs: Tensor) -> Tensor:
        if not self.temperature_last:
            return super().weights(log_probs)
        dropped = self.keep(log_probs.softmax(-1, dtype=torch.float64)) == 0
        return at_temperature(log_probs.masked_fill(dropped, IMPOSSIBLE), self.temperature).exp()


def shorthand(name: str) -> Callable[..., Multinomial]:
    """The decoder `name`, registered: `multinomial` with the truncation of that name alone.

    Its options are those of the truncation, and after them those of `multinomial`.
    """
    entry = truncations.entry(name)
    own, rest = dict(entry.options), options_of(Multinomial)
    del rest["truncations"]
    kind = Parameter.POSITIONAL_OR_KEYWORD
    signature = Signature(
        [Parameter(each.name, kind, default=each.default) for each in (own | rest).values()]
    )

    def make(*positional: Any, **named: Any) -> Multinomial:
        given = signature.bind(*positional, **named).arguments
        cut = partial(entry.factory, **{key: given.pop(key) for key in own if key in given})
        return Multinomial(truncations=(cut,), **given)

    make.__doc__ = f"Draw from {entry.summary[0].lower()}{entry.summary[1:]}"
    make.__module__ = entry.factory.__module__  # where it is written, see `__wrapped__`
    make.__annotations__ = {each.name: each.annotation for each in (own | rest).values()}
    vars(make).update(__signature__=signature, __wrapped__=entry.factory)
    return base.decoders.register(name)(make)


TopK, TopP = shorthand("top_k"), shorthand("top_p")
MinP, Typical = shorthand("min_p"), shorthand("typical")
for _name in ("epsilon", "eta", "top_n_sigma"):
    shorthand(_name)
