"""Constraints that follow from the tokens generated so far, which travel with the state."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple

import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import pad

from seqgen.decoders.base import Constraint, Limits, Start, Stepper, Wrapped, constraints
from seqgen.decoders.guards import IMPOSSIBLE, intercept
from seqgen.options import Count, NonNegativeFloat, PositiveFloat, Size
from seqgen.tokenizers import UNK

Bonus = Annotated[float, Field(ge=-100, le=100)]
"""In nats, added to a log-probability."""

FIRST_SIZE = 16
"""How many tokens there is room for at first."""


class Past(NamedTuple):
    """What each path has read: `read: [rows]` tokens, of at most `most: [rows]`.

    `shifted: [rows, size]` has them plus 1, and 0 after them; the first one is what the search
    began from, the others are generated. The size doubles when it is used up, so memory follows
    the output and not the limit; rows of different sizes go together by `state.concatenate`.
    """

    shifted: Tensor
    read: Tensor
    most: Tensor

    @classmethod
    def of(cls, start: Start, limits: Limits) -> Past:
        shifted = start.tokens.new_zeros(len(start.tokens), FIRST_SIZE)
        return cls(shifted, torch.zeros_like(start.tokens), limits.lengths(start))

    def reading(self, tokens: Tensor) -> Past:
        shifted, size = self.shifted, self.shifted.shape[1]
        if len(tokens) and int(self.read.amax()) >= size:
            shifted = pad(shifted, (0, size))
        shifted = shifted.scatter(1, self.read.unsqueeze(1), tokens.unsqueeze(1) + 1)
        return Past(shifted, self.read + 1, self.most)

    @property
    def generated(self) -> Tensor:
        """The generated tokens, `[rows, size - 1]`, -1 after the last."""
        return self.shifted[:, 1:] - 1

    def recent(self, window: int | None) -> Tensor:
        """The last `window` generated tokens as `last` has them; None: as `generated` has them."""
        generated = self.generated
        return generated if window is None else self.last(min(window, generated.shape[1]))

    @property
    def lengths(self) -> Tensor:
        """How many tokens are generated, `[rows]`."""
        return self.read - 1

    @property
    def left(self) -> Tensor:
        """How many more tokens a path may have, `[rows]`."""
        return self.most - self.lengths

    def last(self, size: int) -> Tensor:
        """The last `size` generated tokens, `[rows, size]`; -1 where there are fewer."""
        places = self.read.unsqueeze(1) + torch.arange(-size, 0, device=self.read.device)
        return torch.where(places >= 1, self.shifted.gather(1, places.clamp(min=0)) - 1, -1)


class PastConstraint(Constraint, ABC):
    """A constraint that changes the scores of a path by what it has generated so far."""

    @abstractmethod
    def change(self, log_probs: Tensor, past: Past, ends: Sequence[int]) -> Tensor:
        """`log_probs: [rows, vocab]` as the search is to see them; a new tensor or the same.

        `ends` are the tokens that end a sequence. What may not come has IMPOSSIBLE, in all of a row
        where nothing may.
        """

    def wrap(self, stepper: Stepper, start: Start, limits: Limits, batch: Any) -> Wrapped:
        def change(log_probs: Tensor, tokens: Tensor, past: Past) -> tuple[Tensor, Past]:
            past = past.reading(tokens)
            return self.change(log_probs, past, limits.ends), past

        return intercept(stepper, start, change, Past.of(start, limits))


def check_known(tokens: Sequence[int], vocab_size: int, what: str) -> None:
    """Raises ValueError unless all of `tokens` can be generated; `what` says whose they are."""
    for token in tokens:
        if not 0 <= token < vocab_size:
            raise ValueError(f"{what} must have tokens from 0 to {vocab_size - 1}, but has {token}")
        if token == UNK:
            raise ValueError(f"{what} contains a token that is not in the vocabulary")


def with_bonus(log_probs: Tensor, bonus: Tensor) -> Tensor:
    """`log_probs + bonus`, both `[rows, vocab]`; where the probabilities of a row would sum to more
    than 1, they are normalised. Rows without a bonus stay as they are."""
    found = log_probs + bonus
    found = found - found.logsumexp(1, keepdim=True).clamp(min=0)
    return torch.where((bonus != 0).any(1, keepdim=True), found, log_probs)


def columns_mask(columns: Tensor, log_probs: Tensor) -> Tensor:
    """A mask like `log_probs: [rows, vocab]`, True at `columns: [rows, any]`; -1 is no column."""
    vocab = log_probs.shape[1]
    mask = log_probs.new_zeros(len(log_probs), vocab + 1, dtype=torch.bool)
    return mask.scatter(1, torch.where(columns < 0, vocab, columns), True)[:, :vocab]


@constraints.register("forced_prefix")
@dataclass
class ForcedPrefix(PastConstraint):
    """A sequence begins with `text`, or with `tokens`; after that it is free.

    Unlike a prompt it is part of what is generated: its tokens count, and have the scores that
    the stepper gives them.
    """

    vocab_size: int
    encode: Callable[[str], list[int]]
    text: str = ""
    tokens: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.text and self.tokens:
            raise ValueError("`text` and `tokens` are two ways to say one thing; give one of them")
        what = f"`text` {self.text!r}" if self.text else "`tokens`"
        self.tokens = tuple(self.encode(self.text) if self.text else self.tokens)
        check_known(self.tokens, self.vocab_size, what)

    def change(self, log_probs: Tensor, past: Past, ends: Sequence[int]) -> Tensor:
        """IMPOSSIBLE except for the next token of the prefix."""
        lacking = len(self.tokens) - past.lengths
        if not bool((lacking > 0).any()):
            return log_probs
        tokens = past.lengths.new_tensor(self.tokens)
        turn = tokens[past.lengths.clamp(max=len(tokens) - 1)].unsqueeze(1)
        banned = (lacking > 0).unsqueeze(1).expand_as(log_probs)
        # The last token cannot make up for several, nor does a sequence go on after its end.
        possible = ((lacking <= 1) | (past.left > 1)) & (not set(self.tokens[:-1]) & set(ends))
        banned = banned.scatter(1, turn, (banned.gather(1, turn) & ~possible.unsqueeze(1)))
        return log_probs.masked_fill(banned, IMPOSSIBLE)

    def least_tokens(self, batch: Any) -> int:
        return len(self.tokens)


@constraints.register("minimum_length")
@dataclass
class MinimumLength(Constraint):
    """End tokens are impossible before a sequence has `length` tokens, and before it has `ratio`
    times as many as its source (rounded down); the other scores stay as they are.

    The end token itself is not counted: `length: 3` means three tokens and then the end, if
    `max_length` has room for both. A source's tokens are those that the model reads.
    """

    length: Count = 0
    ratio: NonNegativeFloat = 0.0

    def wrap(self, stepper: Stepper, start: Start, limits: Limits, batch: Any) -> Wrapped:
        """The memory is how many tokens each row lacks, and how many it may have."""
        ends, least = list(limits.ends), self.least_tokens(batch)
        device = start.tokens.device
        lacking = torch.zeros_like(start.tokens) + torch.as_tensor(least, device=device)

        def change(
            log_probs: Tensor, tokens: Tensor, lacking: Tensor, left: Tensor
        ) -> tuple[Tensor, ...]:
            # The last token cannot make up for several.
            banned = ((left == 1) & (lacking > 1)).unsqueeze(1).repeat(1, log_probs.shape[1])
            banned[:, ends] |= (lacking > 0).unsqueeze(1)
            return log_probs.masked_fill(banned, IMPOSSIBLE), lacking - 1, left - 1

        return intercept(stepper, start, change, lacking, limits.lengths(start))

    def least_tokens(self, batch: Any) -> int | Tensor:
        """`length`, or more of them for a long source."""
        if not self.ratio:
            return self.length
        share: Tensor = (batch.lengths * self.ratio).long()
        return share.clamp(min=self.length)


@constraints.register("no_repeat_ngram")
@dataclass
class NoRepeatNgram(PastConstraint):
    """No n-gram of `size` tokens occurs twice; the scores of possible tokens stay the same.

    Paulus, Xiong and Socher 2018. The prompt is not looked at. With a `window`, an n-gram may occur
    again where it has not begun within the last `window` tokens. Where all tokens are banned the
    sequence ends there.
    """

    size: Size
    window: Size | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.window is not None and self.window < self.size:
            raise ValueError(
                f"`window` must be at least `size`, which is {self.size}, but is {self.window}"
            )

    def change(self, log_probs: Tensor, past: Past, ends: Sequence[int]) -> Tensor:
        """IMPOSSIBLE at the last token of each n-gram whose other tokens are the last ones now."""
        generated = past.recent(self.window)
        if generated.shape[1] < self.size:
            return log_probs
        ngrams = generated.unfold(1, self.size, 1)  # [rows, places, size]
        context = past.last(self.size - 1).unsqueeze(1)
        whole = (ngrams >= 0).all(-1)  # all of it is generated
        repeated = whole & (ngrams[..., :-1] == context).all(-1)
        banned = columns_mask(torch.where(repeated, ngrams[..., -1], -1), log_probs)
        return log_probs.masked_fill(banned, IMPOSSIBLE)


@constraints.register("repetition_penalty")
@dataclass
class RepetitionPenalty(PastConstraint):
    """`penalty * log p(token)` for tokens that the sequence already has, else `log p(token)`.

    The penalty of CTRL (Keskar et al. 2019) on log-probabilities. These are never positive, so
    above 1 a repetition always loses; CTRL divides logits, which for negative ones is a reward.
    The scores are not normalised again: those of new tokens stay as they are, and decoders that
    draw normalise by themselves. 1 changes nothing, below 1 asks for repetitions. With a `window`,
    only the last `window` tokens count.
    """

    penalty: PositiveFloat
    window: Size | None = None

    def change(self, log_probs: Tensor, past: Past, ends: Sequence[int]) -> Tensor:
        seen = columns_mask(past.recent(self.window), log_probs)
        return torch.where(seen, log_probs * self.penalty, log_probs)


@constraints.register("presence_penalty")
@dataclass
class PresencePenalty(PastConstraint):
    """`log p(token) - penalty` for tokens that the sequence already has, else `log p(token)`.

    As OpenAI's interface defines it, where `penalty` is from -2 to 2; below 0 it asks for
    repetitions, and then the probabilities are normalised where they would sum to more than 1. The
    prompt is not looked at. With a `window`, only the last `window` tokens count.
    """

    penalty: Bonus
    window: Size | None = None

    def change(self, log_probs: Tensor, past: Past, ends: Sequence[int]) -> Tensor:
        seen = columns_mask(past.recent(self.window), log_probs)
        return with_bonus(log_probs, -self.penalty * seen.to(log_probs.dtype))


@constraints.register("frequency_penalty")
@dataclass
class FrequencyPenalty(PastConstraint):
    """`log p(token) - penalty * n(token)`, where the sequence already has the token `n` times.

    Otherwise as `presence_penalty`.
    """

    penalty: Bonus
    window: Size | None = None

    def change(self, log_probs: Tensor, past: Past, ends: Sequence[int]) -> Tensor:
        vocab, seen = log_probs.shape[1], past.recent(self.window)
        counts = log_probs.new_zeros(len(log_probs), vocab + 1)
        places = torch.where(seen < 0, vocab, seen)
        counts.scatter_add_(1, places, torch.ones_like(places, dtype=counts.dtype))
        return with_bonus(log_probs, -self.penalty * counts[:, :vocab])
