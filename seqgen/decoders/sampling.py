"""The contract of a sampler: a decoder that draws tokens at random, from some of them or from all.

To add one: subclass `Sampler` and say in `truncate` which tokens stay.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, NamedTuple, final

import torch
from pydantic import Field
from torch import Tensor

from seqgen.decoders.base import Decoder, Hypothesis, Limits, Start, Stepper, decoders, open_rows
from seqgen.decoders.noise import uniform
from seqgen.decoders.search import best
from seqgen.options import Size, Temperature
from seqgen.state import reorder

# Decoders that extend one path for each source, which can be walked token by token.


class Extension(NamedTuple):
    """One step of a walk, all `[rows]`: the sources still alive, their new tokens, what the
    stepper gave to these (log-probabilities), and which of the rows end with this step."""

    sources: Tensor
    tokens: Tensor
    log_probs: Tensor
    finished: Tensor


class PathDecoder(Decoder, ABC):
    """A decoder that picks one token for each row and never looks back.

    A subclass says which token. A row that ends leaves the batch at once.
    """

    @abstractmethod
    def choose(self, log_probs: Tensor, numbers: Tensor, moment: int) -> Tensor:
        """The next token of each row, `[rows]`, from `log_probs: [rows, vocab]`.

        `numbers: [rows]` are the sequences' numbers and `moment` counts the tokens before this
        one: all that a random choice may depend on besides the seed.
        """

    def walk(self, stepper: Stepper, start: Start, limits: Limits) -> Iterator[Extension]:
        """Yield one Extension a step until every row has ended.

        A row at a dead end leaves without another token: it is neither finished nor at its limit.
        """
        tokens, state, context, numbers = start
        room = limits.lengths(start)
        sources = torch.arange(tokens.shape[0], device=tokens.device)
        numbers = sources if numbers is None else numbers
        ends = torch.tensor(limits.ends, dtype=tokens.dtype, device=tokens.device)
        keep = room > 0
        moment = 0
        while True:
            if not bool(keep.all()):
                rows = keep.nonzero().squeeze(1)
                tokens, state, context = reorder((tokens, state, context), rows)
                sources, numbers, room = reorder((sources, numbers, room), rows)
            if not len(sources):
                return
            log_probs, state = stepper.step(tokens, state, context)
            going = open_rows(log_probs, sources, moment)
            if not bool(going.all()):
                rows = going.nonzero().squeeze(1)
                log_probs, state, context = reorder((log_probs, state, context), rows)
                sources, numbers, room = reorder((sources, numbers, room), rows)
            if not len(sources):
                return
            tokens = self.choose(log_probs, numbers, moment)
            chosen = log_probs.gather(1, tokens.unsqueeze(1)).squeeze(1)
            finished = torch.isin(tokens, ends)
            moment += 1
            keep = ~finished & (room > moment)
            yield Extension(sources, tokens, chosen, finished)

    def decode(self, stepper: Stepper, start: Start, limits: Limits) -> list[list[Hypothesis]]:
        """One hypothesis for each source."""
        batch = start.tokens.shape[0]
        tokens: list[list[int]] = [[] for _ in range(batch)]
        log_probs: list[list[float]] = [[] for _ in range(batch)]
        scores = [0.0] * batch  # token by token, which `sum` would do more exactly than a beam does
        finished = [False] * batch
        room = limits.lengths(start).tolist()
        for extension in self.walk(stepper, start, limits):
            columns = (column.tolist() for column in extension)
            for source, token, log_prob, ended in zip(*columns, strict=True):
                tokens[source].append(token)
                log_probs[source].append(log_prob)
                scores[source] += log_prob
                finished[source] = ended
        return [
            [
                Hypothesis(
                    tuple(tokens[i]),
                    scores[i],
                    finished[i],
                    tuple(log_probs[i]),
                    satisfied=finished[i] or len(tokens[i]) == room[i],
                )
            ]
            for i in range(batch)
        ]


DROPPED = float("-inf")

ROUNDING = 2.0**-20
"""Probabilities that differ by no more than this share of them, 8 units in the last place of a
float32, are the same to a threshold: rounding must not decide whether a token reaches it."""

Mass = Annotated[float, Field(gt=0, le=1)]


class Sampler(PathDecoder, ABC):
    """Draw from `p(token) ** (1 / temperature)`, normalised over the tokens that `truncate` keeps.

    Temperature 1 is the model's own distribution, below 1 is bolder, above 1 wilder; 0 is greedy.
    The temperature comes first, the truncation sees its result. Each sequence draws from its own
    stream, see `noise`.
    """

    def __init__(self, seed: int, temperature: float) -> None:
        if not 0 <= temperature < float("inf"):
            raise ValueError(f"`temperature` must be at least 0 and finite, but is {temperature}")
        self.seed = seed
        self.temperature = temperature
        self.draws = temperature > 0

    @abstractmethod
    def truncate(self, log_probs: Tensor) -> Tensor:
        """`log_probs: [rows, vocab]` in float64, with DROPPED for the tokens that may not come.

        At least one that may has to stay. What a row keeps must not depend on the rows beside it.
        """

    def choose(self, log_probs: Tensor, numbers: Tensor, moment: int) -> Tensor:
        """The first token at which the cumulative probability exceeds a uniform number."""
        if self.temperature == 0:
            return log_probs.argmax(-1)
        kept = self.truncate(at_temperature(log_probs, self.temperature))
        cumulative = kept.exp().cumsum(-1)
        # Scaled by the last sum (all that was kept), the number falls before the last possible
        # token's end; `right` steps over tokens of probability zero.
        points = uniform(self.seed, numbers, moment) * cumulative[:, -1]
        return torch.searchsorted(cumulative, points.unsqueeze(1), right=True).squeeze(1)


def at_temperature(log_probs: Tensor, temperature: float) -> Tensor:
    """`log softmax(log_probs / temperature)` in float64, stable from 1e-4 to 100 and beyond."""
    best = log_probs.amax(-1, keepdim=True)  # taken off first: tiny temperatures cannot overflow
    return ((log_probs - best).double() / temperature).log_softmax(-1)


def keep_mass(log_probs: Tensor, order: Tensor, mass: float) -> Tensor:
    """`log_probs: [rows, vocab]`, cut to the first tokens in `order` that have `mass` together.

    `order: [rows, vocab]` holds ids. The token that reaches the mass, within ROUNDING, stays and is
    the last one, so one always does.
    """
    if mass == 1:  # said apart, since rounding could reach 1 before the last token
        return log_probs
    ordered = log_probs.gather(1, order)
    up_to_here = ordered.exp().cumsum(1)
    before = torch.cat([torch.zeros_like(up_to_here[:, :1]), up_to_here[:, :-1]], 1)
    cut = ordered.masked_fill(before >= mass * (1 - ROUNDING), DROPPED)
    return torch.empty_like(cut).scatter(1, order, cut)


# The decoder `greedy`: always the most probable next token.


@decoders.register("greedy")
class Greedy(PathDecoder):
    """The token with the highest probability at each step; of equals, the lowest id."""

    draws = False

    def choose(self, log_probs: Tensor, numbers: Tensor, moment: int) -> Tensor:
        """`argmax p(token)`, `[rows]`."""
        return log_probs.argmax(-1)


# The decoder `multinomial`: tokens drawn at random, after a temperature.


@decoders.register("multinomial")
class Multinomial(Sampler):
    """Draw from `p(token) ** (1 / temperature)`, normalised: any token may come.

    1 is the model's own distribution, below 1 is bolder, above 1 wilder; 0 is greedy.
    """

    def __init__(self, seed: int = 0, temperature: Temperature = 1.0) -> None:
        super().__init__(seed, temperature)

    def truncate(self, log_probs: Tensor) -> Tensor:
        """All of them."""
        return log_probs


# The decoder `top_k`: tokens drawn from the most probable few.


@decoders.register("top_k")
class TopK(Sampler):
    """Draw from the `k` most probable tokens (Fan et al. 2018); of equals, the lowest ids.

    1 is greedy, the number of tokens is `multinomial`; there cannot be more.
    """

    def __init__(
        self,
        k: Size,
        seed: int = 0,
        temperature: Temperature = 1.0,
        vocab_size: int | None = None,
    ) -> None:
        super().__init__(seed, temperature)
        if k < 1:
            raise ValueError(f"`k` must be at least 1, but is {k}")
        if vocab_size is not None and k > vocab_size:
            raise ValueError(
                f"`k` must be from 1 to {vocab_size}, the number of tokens, but is {k}"
            )
        self.k = k
        self.draws &= k > 1

    def truncate(self, log_probs: Tensor) -> Tensor:
        """The `k` highest of each row."""
        columns = best(log_probs, self.k)
        kept = torch.full_like(log_probs, DROPPED)
        return kept.scatter(1, columns, log_probs.gather(1, columns))


# The decoder `top_p`: tokens drawn from the nucleus of the distribution.


@decoders.register("top_p")
class TopP(Sampler):
    """Draw from the nucleus (Holtzman et al. 2020): the fewest tokens that have probability `p`.

    They are the most probable ones, of equals the lowest ids, up to and with the token that
    reaches `p`, within rounding (a millionth of it): 0.5 of ten equal tokens are the first five. 1
    is `multinomial`, towards 0 it becomes greedy.
    """

    def __init__(self, p: Mass = 0.9, seed: int = 0, temperature: Temperature = 1.0) -> None:
        super().__init__(seed, temperature)
        if not 0 < p <= 1:
            raise ValueError(f"`p` must be above 0 and at most 1, but is {p}")
        self.p = p

    def truncate(self, log_probs: Tensor) -> Tensor:
        """The nucleus of each row."""
        order = log_probs.sort(stable=True, dim=1, descending=True).indices
        return keep_mass(log_probs, order, self.p)


# The decoder `min_p`: tokens drawn from those not far below the most probable one.


@decoders.register("min_p")
class MinP(Sampler):
    """Draw from tokens that have at least `p` times the probability of the best one.

    By Nguyen et al. (2024): the surer the model is, the fewer tokens stay. 0 is
    `multinomial`, 1 is greedy (but for equals, among which it draws). A token that reaches the
    threshold within rounding (a millionth of it) stays: 0.5 of (0.6, 0.3, 0.1) leaves two.
    """

    def __init__(
        self,
        p: Annotated[float, Field(ge=0, le=1)] = 0.1,
        seed: int = 0,
        temperature: Temperature = 1.0,
    ) -> None:
        super().__init__(seed, temperature)
        if not 0 <= p <= 1:
            raise ValueError(f"`p` must be from 0 to 1, but is {p}")
        self.p = p

    def truncate(self, log_probs: Tensor) -> Tensor:
        """Those of each row that reach the threshold, `log p` below its maximum."""
        below = torch.tensor(self.p, dtype=log_probs.dtype).log().to(log_probs.device)
        threshold = log_probs.amax(1, keepdim=True) + below
        return log_probs.masked_fill(log_probs < threshold - ROUNDING, DROPPED)


# The decoder `typical`: tokens drawn from those that say about as much as is expected.


@decoders.register("typical")
class Typical(Sampler):
    """Locally typical sampling (Meister et al. 2022).

    Tokens come in the order of `|-log p(token) - H|`, where H is the entropy of the distribution:
    first those whose surprise is the expected one. The fewest of these that have probability `p`
    stay, `p` being reached within rounding (a millionth of it); of equals, the lowest ids. 1 is
    `multinomial`.
    """

    def __init__(self, p: Mass = 0.95, seed: int = 0, temperature: Temperature = 1.0) -> None:
        super().__init__(seed, temperature)
        if not 0 < p <= 1:
            raise ValueError(f"`p` must be above 0 and at most 1, but is {p}")
        self.p = p

    def truncate(self, log_probs: Tensor) -> Tensor:
        """The typical set of each row."""
        # The last of the running sums, since `sum` may add up a single row in another order.
        entropy = torch.special.entr(log_probs.exp()).cumsum(1)[:, -1:]
        deviation = (-log_probs - entropy).abs()
        return keep_mass(log_probs, deviation.sort(stable=True, dim=1).indices, self.p)


# The decoder that follows given sequences, so that what it finds are their scores.


@final
class Forced(PathDecoder):
    """Takes the tokens that it is given: `sequences`, by the numbers of the starts.

    A sequence must have as many tokens as its source's limit. It is no strategy to be named in a
    recipe, but the way to ask any stepper how probable a sequence is to it.
    """

    draws = False

    def __init__(self, sequences: Mapping[int, Sequence[int]]) -> None:
        self.sequences = sequences

    def choose(self, log_probs: Tensor, numbers: Tensor, moment: int) -> Tensor:
        """The token that is next, `[rows]`."""
        return numbers.new_tensor([self.sequences[each][moment] for each in numbers.tolist()])
