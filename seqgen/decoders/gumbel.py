"""Gumbel noise on the scores of sequences, drawn from the top down (Kool et al. 2019)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from seqgen.decoders.noise import child_keys, uniform, uniform_each

FIRST = -1
"""The moment of the noise of the empty path: no token's own, those count from 0."""


class Perturbed(NamedTuple):
    """Paths as a sampler sees them, each `[rows]`; a State, moved about by `reorder`.

    `keys` name the paths for their noise, `log_probs` are those of a whole path, and `perturbed`
    the same plus a Gumbel variable: the largest of all sequences that begin so.
    """

    keys: Tensor
    log_probs: Tensor
    perturbed: Tensor

    @classmethod
    def empty(cls, seed: int, numbers: Tensor) -> Perturbed:
        """The empty path of each sequence number `[rows]`: probability 1."""
        noise = uniform(seed, numbers, FIRST)
        return cls(numbers, torch.zeros_like(noise), gumbel(noise))

    def children(self, seed: int, scores: Tensor) -> tuple[Tensor, Tensor]:
        """`log_probs` and `perturbed` of all that may follow, `[rows, vocab]`.

        `scores: [rows, vocab]` are what a stepper gave, normalised here; a row of -inf throughout
        has no children. The noise of the children is Gumbel, on the condition that the largest of
        them is their parent's.
        """
        best = scores.amax(-1, keepdim=True).double().clamp(min=-1e300)  # -inf less -inf is NaN
        normal = scores.double() - best
        normal = normal - normal.exp().sum(-1, keepdim=True).clamp(min=1e-300).log()
        log_probs = self.log_probs.unsqueeze(1) + normal
        free = log_probs + gumbel(uniform_each(seed, self.keys, scores.shape[1]))
        return log_probs, below(free, self.perturbed.unsqueeze(1))

    def grown(
        self, rows: Tensor, tokens: Tensor, log_probs: Tensor, perturbed: Tensor
    ) -> Perturbed:
        """The paths that go on from `rows` with `tokens`; the other two are theirs."""
        return Perturbed(child_keys(self.keys[rows], tokens), log_probs, perturbed)


def gumbel(noise: Tensor) -> Tensor:
    """A standard Gumbel variable for each uniform number in (0, 1)."""
    return -torch.log(-torch.log(noise))


def below(free: Tensor, largest: Tensor) -> Tensor:
    """Gumbel variables `[rows, vocab]`, moved so that the largest of a row is `largest: [rows, 1]`.

    `-log(exp(-largest) - exp(-max free) + exp(-free))`, computed as in Kool et al. 2019, appendix
    B.3: without a difference of large numbers. -inf stays -inf.
    """
    top = free.amax(-1, keepdim=True)
    gap = torch.where(free > float("-inf"), free - top, float("-inf"))
    moved = largest - free + _log_of_one_minus_exp(gap)
    moved = largest - moved.clamp(min=0) - torch.log1p(torch.exp(-moved.abs()))
    return torch.where(free > float("-inf"), moved, float("-inf"))


def _log_of_one_minus_exp(negative: Tensor) -> Tensor:
    """`log(1 - exp(x))` for x <= 0, precise near 0 and far from it."""
    near = torch.log(-torch.expm1(negative))
    far = torch.log1p(-torch.exp(negative))
    return torch.where(negative > -0.693, near, far)
