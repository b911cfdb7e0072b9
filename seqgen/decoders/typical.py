"""The decoder `typical`: tokens drawn from those that say about as much as is expected."""

from __future__ import annotations

import torch
from torch import Tensor

from seqgen.decoders.base import decoders
from seqgen.decoders.sampling import Mass, Sampler, keep_mass
from seqgen.options import Temperature


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
