"""Constraints that follow from the tokens generated so far, which travel with the state."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

from seqgen.decoders.base import Constraint, Limits, Start, Stepper, constraints
from seqgen.options import Count, NonNegativeFloat, PositiveFloat, Size
from seqgen.state import State
from seqgen.tokenizers import UNK

FIRST_SIZE = 16
"""How many tokens there is room for at first."""


class Past(NamedTuple):
    """What each path has read: `read: [rows]` tokens, of at most `most: [rows]`.

    `shifted: [rows, size]` has them plus 1, and 0 behind them; the first one is what the search
    began from, the others are generated. The size doubles when it is used up, so memory follows
    the output and not the limit; rows of different sizes go together by `state.concatenate`.
    """

    shifted: Tensor
    read: Tensor
    most: Tensor

    @classmethod
    def of(cls, start: Start, limits: Limits) -> Past:
        """Nothing read yet."""
        shifted = start.tokens.new_zeros(len(start.tokens), FIRST_SIZE)
        return cls(shifted, torch.zeros_like(start.tokens), limits.lengths(start))

    def reading(self, tokens: Tensor) -> Past:
        """The past with `tokens: [rows]` behind it."""
        shifted, size = self.shifted, self.shifted.shape[1]
        if len(tokens) and int(self.read.amax()) >= size:
            shifted = pad(shifted, (0, size))
        place = self.read.unsqueeze(1)
        shifted = shifted.scatter(1, place, tokens.unsqueeze(1) + 1)
        return Past(shifted, self.read + 1, self.most)

    @property
    def generated(self) -> Tensor:
        """The generated tokens, `[rows, size - 1]`, -1 behind the last."""
        return self.shifted[:, 1:] - 1

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
        """`log_probs: [rows, vocab]` as the search shall see them; a new tensor or the same.

        `ends` are the tokens that end a sequence. What may not come has -inf, in all of a row where
        nothing may.
        """

    def wrap(
        self, stepper: Stepper, start: Start, limits: Limits, batch: Any
    ) -> tuple[Stepper, Start]:
        """The stepper and its start, whose state has the past beside it."""
        state = (start.state, Past.of(start, limits))
        return _Following(stepper, self, limits.ends), start._replace(state=state)


class _Following:
    """A stepper that keeps the past and lets a constraint change the scores."""

    def __init__(self, stepper: Stepper, constraint: PastConstraint, ends: Sequence[int]) -> None:
        self.stepper = stepper
        self.constraint = constraint
        self.ends = tuple(ends)

    def step(self, tokens: Tensor, state: Any, context: State) -> tuple[Tensor, State]:
        """`tokens: [rows]` to `[rows, vocab]`."""
        inner, past = state
        past = past.reading(tokens)
        log_probs, inner = self.stepper.step(tokens, inner, context)
        return self.constraint.change(log_probs, past, self.ends), (inner, past)


# The check that tokens given in options are tokens that a model knows.


def check_known(tokens: Sequence[int], vocab_size: int, what: str) -> None:
    """A ValueError unless all of `tokens` can be generated; `what` says whose tokens they are."""
    for token in tokens:
        if not 0 <= token < vocab_size:
            raise ValueError(f"{what} must have tokens from 0 to {vocab_size - 1}, but has {token}")
        if token == UNK:
            raise ValueError(f"{what} must be known to the tokenizer, but has an unknown symbol")


# The constraint `forced_prefix`: how every sequence begins.


@constraints.register("forced_prefix")
class ForcedPrefix(PastConstraint):
    """The first tokens are those of `text`, or `tokens`; behind them the sequence is free.

    Unlike a prompt it is part of what is generated: its tokens count, and have the scores that
    the stepper gives them.
    """

    def __init__(
        self,
        vocab_size: int,
        encode: Callable[[str], list[int]],
        text: str = "",
        tokens: tuple[int, ...] = (),
    ) -> None:
        if text and tokens:
            raise ValueError("`text` and `tokens` are two ways to say one thing; give one of them")
        self.tokens = tuple(encode(text)) if text else tuple(tokens)
        check_known(self.tokens, vocab_size, f"`text` {text!r}" if text else "`tokens`")

    def change(self, log_probs: Tensor, past: Past, ends: Sequence[int]) -> Tensor:
        """-inf but at the token whose turn it is, `[rows, vocab]`."""
        lacking = len(self.tokens) - past.lengths
        if not bool((lacking > 0).any()):
            return log_probs
        tokens = past.lengths.new_tensor(self.tokens)
        turn = tokens[past.lengths.clamp(max=len(tokens) - 1)].unsqueeze(1)
        banned = (lacking > 0).unsqueeze(1).expand_as(log_probs)
        # The last token cannot make up for several, nor does a sequence go on behind its end.
        possible = ((lacking <= 1) | (past.left > 1)) & (not set(self.tokens[:-1]) & set(ends))
        banned = banned.scatter(1, turn, (banned.gather(1, turn) & ~possible.unsqueeze(1)))
        return log_probs.masked_fill(banned, float("-inf"))

    def least_tokens(self, batch: Any) -> int:
        """Those of the prefix."""
        return len(self.tokens)


# The constraint `minimum_length`: no sequence ends before it has so many tokens.


@constraints.register("minimum_length")
class MinimumLength(Constraint):
    """End tokens are impossible before a sequence has `length` tokens, and before it has `ratio`
    times as many as its source (rounded down); the other scores stay as they are.

    The end token itself is not counted: `length: 3` means three tokens and then the end, if
    `max_length` has room for both. A source's tokens are those that the model reads.
    """

    def __init__(self, length: Count = 0, ratio: NonNegativeFloat = 0.0) -> None:
        for name, value in (("length", length), ("ratio", ratio)):
            if value < 0:
                raise ValueError(f"`{name}` must be at least 0, but is {value}")
        self.length = length
        self.ratio = ratio

    def wrap(
        self, stepper: Stepper, start: Start, limits: Limits, batch: Any
    ) -> tuple[Stepper, Start]:
        """The stepper and its start, whose state has beside it how many tokens each row lacks, and
        how many it may have."""
        least = self.least_tokens(batch)
        lacking = torch.zeros_like(start.tokens) + (
            least.to(start.tokens.device) if isinstance(least, Tensor) else least
        )
        state = (start.state, lacking, limits.lengths(start))
        return _NotYet(stepper, limits.ends), start._replace(state=state)

    def least_tokens(self, batch: Any) -> int | Tensor:
        """`length`, or more of them for a long source."""
        if not self.ratio:
            return self.length
        share: Tensor = (batch.lengths * self.ratio).long()
        return share.clamp(min=self.length)


class _NotYet:
    """A stepper without end tokens for the rows that lack tokens."""

    def __init__(self, stepper: Stepper, ends: tuple[int, ...]) -> None:
        self.stepper = stepper
        self.ends = list(ends)

    def step(self, tokens: Tensor, state: Any, context: State) -> tuple[Tensor, State]:
        """`tokens: [rows]` to `[rows, vocab]`."""
        inner, lacking, left = state
        log_probs, inner = self.stepper.step(tokens, inner, context)
        following = (inner, lacking - 1, left - 1)
        # The last token cannot make up for several.
        banned = ((left == 1) & (lacking > 1)).unsqueeze(1).repeat(1, log_probs.shape[1])
        banned[:, self.ends] |= (lacking > 0).unsqueeze(1)
        return log_probs.masked_fill(banned, float("-inf")), following


# The constraint `no_repeat_ngram`: no run of so many tokens comes twice.


@constraints.register("no_repeat_ngram")
class NoRepeatNgram(PastConstraint):
    """No n-gram, `size` tokens in a row, comes twice; the scores of what is possible stay.

    Paulus, Xiong and Socher 2018. The prompt is not looked at. Where all tokens are banned the
    sequence ends there.
    """

    def __init__(self, size: Size) -> None:
        if size < 1:
            raise ValueError(f"`size` must be at least 1, but is {size}")
        self.size = size

    def change(self, log_probs: Tensor, past: Past, ends: Sequence[int]) -> Tensor:
        """-inf at the last token of each n-gram whose other tokens are the last ones now."""
        generated = past.generated
        if generated.shape[1] < self.size:
            return log_probs
        ngrams = generated.unfold(1, self.size, 1)  # [rows, places, size]
        context = past.last(self.size - 1).unsqueeze(1)
        whole = (ngrams >= 0).all(-1)  # all of it is generated
        banned = whole & (ngrams[..., :-1] == context).all(-1)
        # Places that ban nothing point at a column behind the vocabulary.
        vocab = log_probs.shape[1]
        columns = torch.where(banned, ngrams[..., -1], vocab)
        mask = log_probs.new_zeros(len(log_probs), vocab + 1, dtype=torch.bool)
        return log_probs.masked_fill(mask.scatter(1, columns, True)[:, :vocab], float("-inf"))


# The constraint `repetition_penalty`: tokens that came before are less probable.


@constraints.register("repetition_penalty")
class RepetitionPenalty(PastConstraint):
    """`penalty * log p(token)` for each token that the sequence has already, else `log p(token)`.

    The penalty of CTRL (Keskar et al. 2019) on log-probabilities. These are never positive, so
    above 1 a repetition always loses; CTRL divides logits, which for negative ones is a reward.
    The scores are not normalised again: those of new tokens stay as they are, and decoders that
    draw normalise by themselves. 1 changes nothing, below 1 asks for repetitions.
    """

    def __init__(self, penalty: PositiveFloat) -> None:
        if not 0 < penalty < float("inf"):
            raise ValueError(f"`penalty` must be above 0 and finite, but is {penalty}")
        self.penalty = penalty

    def change(self, log_probs: Tensor, past: Past, ends: Sequence[int]) -> Tensor:
        """The scores of all tokens in the past times `penalty`, `[rows, vocab]`."""
        vocab = log_probs.shape[1]
        # What is not generated yet is -1: it points at a column behind the vocabulary.
        columns = torch.where(past.generated < 0, vocab, past.generated)
        seen = log_probs.new_zeros(len(log_probs), vocab + 1, dtype=torch.bool)
        seen = seen.scatter(1, columns, True)[:, :vocab]
        return torch.where(seen, log_probs * self.penalty, log_probs)
