"""The constraint `repetition_penalty`: tokens that came before are less probable."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from seqgen.decoders.constraint import constraints
from seqgen.decoders.past import Past, PastConstraint
from seqgen.options import PositiveFloat


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
