"""Random numbers that are a function of (seed, sequence, step), whatever else is in the batch.

A generator hands out numbers in the order in which rows ask, so what a row gets depends on the
other rows. Here each number is computed from its address by the finaliser of SplitMix64 (Steele,
Lea and Flood 2014), whose output passes statistical tests for consecutive inputs.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from seqgen.decoders.guards import IMPOSSIBLE

MOST_AHEAD, MOST_NUMBERS = 64, 1024
"""For how many steps `StepNoise` draws at once, and how many numbers. That takes about as long as
to draw a single number."""


def uniform(seed: int, sequence_ids: Tensor, step: int | Tensor) -> Tensor:
    """A float64 in (0, 1) for each of `sequence_ids: [rows]`, at step `step`, which may be one for
    each row, `[rows]`; `[steps, rows]` where `step` is `[steps, 1]`."""
    return _fraction(_mix(_mix(_mix(torch.zeros_like(sequence_ids), seed), sequence_ids), step))


def ids_for(seed: int, seeds: Tensor, sequence_ids: Tensor) -> Tensor:
    """The ids that draw by `seed` what `sequence_ids: [rows]` draw by `seeds: [rows]`: what each
    absorbs is the seed and the id together."""
    nothing = torch.zeros_like(seeds)
    return _mix(nothing, seed) ^ _mix(nothing, seeds) ^ sequence_ids


class StepNoise:
    """`uniform` for a search that asks for one step after the other with the same tensor of ids: it
    draws for steps ahead, since forty operations on small tensors cost more than the step of a
    small model."""

    def __init__(self) -> None:
        self._drawn: tuple[int, Tensor | None, int, tuple[Tensor, ...]] = (0, None, 0, ())

    def __call__(self, seed: int, sequence_ids: Tensor, step: int | Tensor) -> Tensor:
        """As `uniform`, but `[rows, 1]`; a `step` of each row, `[rows]`, is drawn by itself."""
        if isinstance(step, Tensor):
            return uniform(seed, sequence_ids, step).unsqueeze(1)
        of_seed, ids, first, numbers = self._drawn
        if ids is not sequence_ids or of_seed != seed or not 0 <= step - first < len(numbers):
            ahead = max(1, min(MOST_AHEAD, MOST_NUMBERS // max(1, len(sequence_ids))))
            steps = torch.arange(step, step + ahead, device=sequence_ids.device).unsqueeze(1)
            numbers, first = uniform(seed, sequence_ids, steps).unsqueeze(2).unbind(), step
            self._drawn = seed, sequence_ids, first, numbers
        return numbers[step - first]


def uniform_each(seed: int, keys: Tensor, count: int) -> Tensor:
    """`count` float64 in (0, 1) for each of `keys: [rows]`, `[rows, count]`.

    A key stands for all that has happened to a row so far, see `child_keys`.
    """
    columns = torch.arange(count, device=keys.device)
    rows = _mix(_mix(torch.zeros_like(keys), seed), keys).unsqueeze(1).expand(-1, count)
    return _fraction(_mix(rows, columns))


def child_keys(keys: Tensor, tokens: Tensor) -> Tensor:
    """A key for each row that goes on from `keys: [rows]` with `tokens: [rows]`.

    Sequences that differ get different keys (but for one chance in 2**63), and a sequence gets the
    same one whatever else is in the batch. It also makes sub-streams: sample i of sequence n draws
    by the id `child_keys(n, i)`.
    """
    return _mix(keys, tokens + 1)


def _fraction(key: Tensor) -> Tensor:
    """The float64 in (0, 1) that 64 random bits stand for."""
    # The top 40 bits, in the middle of their interval: never 0, and so far below 1 that rounding
    # never reaches it.
    return ((key >> 24 & (1 << 40) - 1).double() + 0.5) * 2.0**-40


def _mix(key: Tensor, word: Tensor | int) -> Tensor:
    """Absorb `word` into `key`; int64 arithmetic wraps around, as SplitMix64 wants it."""
    mixed = (key ^ word) + _signed(0x9E3779B97F4A7C15)
    mixed = (mixed ^ _shift(mixed, 30)) * _signed(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ _shift(mixed, 27)) * _signed(0x94D049BB133111EB)
    return mixed ^ _shift(mixed, 31)


def _shift(key: Tensor, bits: int) -> Tensor:
    """A logical shift to the right: torch's own drags the sign along."""
    return key >> bits & (1 << 64 - bits) - 1


def _signed(word: int) -> int:
    """The int64 with the same 64 bits."""
    return word - (1 << 64) if word >> 63 else word


FIRST = -1
"""The step of the noise of the empty path: no token's own, those count from 0."""


class Perturbed(NamedTuple):
    """Paths with Gumbel noise on their scores, each `[rows]`; a State, moved by `reorder`.

    `keys` name the paths for their noise, `log_probs` are those of a whole path, and `perturbed`
    the same plus a Gumbel variable: the largest of all sequences that begin so. The noise is drawn
    from the top down (Kool et al. 2019).
    """

    keys: Tensor
    log_probs: Tensor
    perturbed: Tensor

    @classmethod
    def empty(cls, seed: int, sequence_ids: Tensor) -> Perturbed:
        """The empty path of each sequence `[rows]`: probability 1."""
        noise = uniform(seed, sequence_ids, FIRST)
        return cls(sequence_ids, torch.zeros_like(noise), gumbel(noise))

    def children(self, seed: int, scores: Tensor) -> tuple[Tensor, Tensor]:
        """`log_probs` and `perturbed` of all that may follow, `[rows, vocab]`.

        `scores: [rows, vocab]` are what a stepper gave, normalised here; a row of -inf throughout
        has no children. The noise of the children is Gumbel, on the condition that the largest of
        them is their parent's.
        """
        top = scores.amax(-1, keepdim=True).double().clamp(min=-1e300)  # -inf less -inf is NaN
        normal = scores.double() - top
        normal = normal - normal.exp().sum(-1, keepdim=True).clamp(min=1e-300).log()
        log_probs = self.log_probs.unsqueeze(1) + normal
        free = log_probs + gumbel(uniform_each(seed, self.keys, scores.shape[1]))
        return log_probs, below(free, self.perturbed.unsqueeze(1))


def gumbel(noise: Tensor) -> Tensor:
    """A standard Gumbel variable for each uniform number in (0, 1)."""
    return -torch.log(-torch.log(noise))


def below(free: Tensor, largest: Tensor) -> Tensor:
    """Gumbel variables `[rows, vocab]`, moved so that the largest of a row is `largest: [rows, 1]`.

    `-log(exp(-largest) - exp(-max free) + exp(-free))`, computed as in Kool et al. 2019, appendix
    B.3: without a difference of large numbers. -inf stays -inf.
    """
    gap = torch.where(free > IMPOSSIBLE, free - free.amax(-1, keepdim=True), IMPOSSIBLE)
    # log(1 - exp(gap)) for a gap <= 0, precise near 0 and far from it.
    near, far = torch.log(-torch.expm1(gap)), torch.log1p(-torch.exp(gap))
    moved = largest - free + torch.where(gap > -0.693, near, far)
    moved = largest - moved.clamp(min=0) - torch.log1p(torch.exp(-moved.abs()))
    return torch.where(free > IMPOSSIBLE, moved, IMPOSSIBLE)
