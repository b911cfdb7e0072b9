"""The constraint `must_contain`: texts that a sequence has somewhere in it.

How far each text has come is known for each path, and so is the least number of tokens that is
still needed for all of them: a path that has no more room than that can only go on with these.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Annotated, Any, NamedTuple

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from seqgen.decoders.base import Constraint, Limits, Start, Stepper, Wrapped, constraints
from seqgen.decoders.guards import IMPOSSIBLE, intercept
from seqgen.decoders.history import check_known
from seqgen.decoders.phrases import tokens_of
from seqgen.decoders.search import Lacking
from seqgen.state import map_state

FAR = 1 << 30
"""More tokens than any texts have."""

LARGEST = torch.iinfo(torch.int16).max
"""Paths that lack more than this share their part of a beam."""

MOST_TEXTS = 12
"""Each further one doubles the table of what is needed after each set of them."""


class Goals(NamedTuple):
    """Token sequences to be met, none of which is a part of another.

    `moves: [texts, longest + 1, letters + 1]` is how many tokens of a text a path ends with after
    another token, by how many it ended with before; who has met a text stays there. `letters:
    [vocab]` numbers the tokens that are in a text; all others have the last number. `after: [2 **
    texts, texts]` is how many tokens a set of texts needs where a path ends with a text that is
    not in the set. Being a State, it goes to a device by `map_state`.
    """

    lengths: Tensor
    moves: Tensor
    letters: Tensor
    after: Tensor

    @classmethod
    def of(cls, sequences: Sequence[Sequence[int]], vocab_size: int) -> Goals:
        texts = [*dict.fromkeys(map(tuple, sequences))]
        texts = [each for each in texts if not any(_within(each, other) for other in texts)]
        lengths = torch.tensor([*map(len, texts)])
        alphabet = sorted({token for each in texts for token in each})
        letters = torch.full((vocab_size,), len(alphabet))
        letters[alphabet] = torch.arange(len(alphabet))
        moves = torch.zeros(len(texts), int(lengths.max()) + 1, len(alphabet) + 1, dtype=torch.long)
        for text, goal in zip(texts, moves, strict=True):
            for met in range(len(text)):
                for letter, token in enumerate(alphabet):
                    goal[met, letter] = _overlap((*text[:met], token), text)
            goal[len(text)] = len(text)
        return cls(lengths, moves, letters, _needed(texts))

    def follow(self, met: Tensor, letters: Tensor) -> Tensor:
        """`met: [rows, texts]` after `letters: [rows]`."""
        return self.moves[torch.arange(met.shape[1], device=met.device), met, letters.unsqueeze(1)]

    def following(self, met: Tensor) -> Tensor:
        """`met: [rows, texts]` after each letter, `[rows, letters + 1, texts]`."""
        each = torch.arange(met.shape[1], device=met.device)
        return self.moves[each, met].transpose(1, 2)

    def lacking(self, met: Tensor) -> Tensor:
        """The least number of tokens that meets all: `[...]` for `met: [..., texts]`."""
        unmet, each = met < self.lengths, torch.arange(len(self.lengths), device=met.device)
        bits = 1 << each
        sets = (unmet * bits).sum(-1, keepdim=True)
        # The text to be met next, and then the others.
        needed = self.lengths - met + self.after[sets - bits * unmet, each]
        return torch.where(unmet, needed, FAR).amin(-1) * unmet.any(-1)


def _within(text: Sequence[int], other: Sequence[int]) -> bool:
    size = len(text)
    return size < len(other) and any(
        other[place : place + size] == text for place in range(len(other) - size + 1)
    )


def _overlap(one: Sequence[int], other: Sequence[int]) -> int:
    """The most tokens with which `one` ends and `other` begins."""
    sizes = range(min(len(one), len(other)), 0, -1)
    return next((size for size in sizes if one[-size:] == other[:size]), 0)


def _needed(texts: Sequence[Sequence[int]]) -> Tensor:
    """What `Goals` has as `after`: a shortest common superstring, by the sets of what is left."""
    count = len(texts)
    further = np.array([[len(b) - _overlap(a, b) for b in texts] for a in texts])
    after = np.zeros((1 << count, count), np.int64)
    for some in range(1, 1 << count):
        inside = [place for place in range(count) if some >> place & 1]
        rest = [after[some ^ 1 << place, place] for place in inside]
        after[some] = (further[:, inside] + rest).min(1)
    return torch.from_numpy(after)


@constraints.register("must_contain")
@dataclass
class MustContain(Constraint):
    """A sequence has each of `texts` in it; the scores of possible tokens stay the same.

    End tokens are impossible before that, and where the room up to the maximum length is just
    enough, all that does not lead to the texts; so every output has them. Texts may overlap. A text
    is what the tokenizer makes of it, so mind a space before a word that belongs to its token. The
    prompt is not looked at. `beam` shares its paths among those that lack equally many tokens, with
    an equal part for each number: dynamic beam allocation (Post and Vilar 2018).
    """

    texts: Annotated[tuple[str, ...], Field(min_length=1, max_length=MOST_TEXTS)]
    _: KW_ONLY
    vocab_size: int
    encode: Callable[[str], list[int]]

    def __post_init__(self) -> None:
        super().__post_init__()
        sequences = []
        for text in self.texts:
            sequences.append(tokens_of(text, self.encode))
            check_known(sequences[-1], self.vocab_size, f"`texts` {text!r}")
        self.goals = Goals.of(sequences, self.vocab_size)

    def wrap(self, stepper: Stepper, start: Start, limits: Limits, batch: Any) -> Wrapped:
        """The memory is how much of each text each row has met (-1 before the first step), how
        many tokens it may have, and what it lacks after each token."""
        goals = map_state(lambda each: each.to(start.tokens.device), self.goals)
        ends, count = list(limits.ends), len(goals.lengths)
        other = goals.moves.shape[2] - 1
        hopeless = bool((goals.letters[ends] < other).any())  # to end is to go on with a text

        def change(
            log_probs: Tensor, tokens: Tensor, before: Tensor, left: Tensor, _: Lacking
        ) -> tuple[Any, ...]:
            met = torch.where(
                before < 0, 0, goals.follow(before.clamp(min=0), goals.letters[tokens])
            )
            lacking = goals.lacking(goals.following(met))
            banned = (lacking >= left.unsqueeze(1))[:, goals.letters]
            banned[:, ends] = (met < goals.lengths).any(1, keepdim=True)
            banned |= hopeless
            small = lacking.clamp(max=LARGEST).to(torch.int16)[:, goals.letters]
            memory = (met, left - 1, Lacking(small))
            return log_probs.masked_fill(banned, IMPOSSIBLE), *memory

        met = start.tokens.new_full((len(start.tokens), count), -1)
        nothing = Lacking(met.new_zeros(len(met), self.vocab_size, dtype=torch.int16))
        return intercept(stepper, start, change, met, limits.lengths(start), nothing)

    def least_tokens(self, batch: Any) -> int:
        """Those of the texts, one behind the other, with as much overlap as there can be."""
        return int(self.goals.lacking(torch.zeros_like(self.goals.lengths)))
