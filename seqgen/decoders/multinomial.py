"""The decoder `multinomial`: tokens drawn at random, after a temperature."""

from __future__ import annotations

from torch import Tensor

from seqgen.decoders.base import decoders
from seqgen.decoders.sampling import Sampler
from seqgen.options import Temperature


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
