"""The decoder `top_k`: tokens drawn from the most probable few."""

from __future__ import annotations

import torch
from torch import Tensor

from seqgen.decoders.base import decoders
from seqgen.decoders.paths import best
from seqgen.decoders.sampling import DROPPED, Sampler
from seqgen.options import Size, Temperature


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
