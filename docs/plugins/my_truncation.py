"""The truncation `my_truncation`: the tokens that surprise no more than is expected."""

import torch

from seqgen.decoders import Truncation, truncations
from seqgen.options import PositiveFloat


@truncations.register("my_truncation")
class MyTruncation(Truncation):
    """The tokens whose surprise is at most `times` the expected one, the entropy."""

    def __init__(self, times: PositiveFloat = 1.5) -> None:
        self.times = times

    def keep(self, shares):
        surprise = -shares.log()
        entropy = torch.special.entr(shares).cumsum(1)[:, -1:]
        best = surprise.amin(1, keepdim=True)  # rounding must not drop the best token
        return shares * (surprise <= torch.maximum(self.times * entropy, best))
