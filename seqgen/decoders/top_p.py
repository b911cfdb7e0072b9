"""The decoder `top_p`: tokens drawn from the nucleus of the distribution."""

from __future__ import annotations

from torch import Tensor

from seqgen.decoders.base import decoders
from seqgen.decoders.sampling import Mass, Sampler, keep_mass
from seqgen.options import Temperature


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
