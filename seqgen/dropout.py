"""Dropout, a module that draws its masks eight elements at a time on CPUs."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class Dropout(nn.Module):
    """Zero a share `rate` of the elements in training and scale up the rest (Srivastava 2014).

    torch draws one random number for each element, on one thread, which for a recurrent model
    costs up to a third of the training step. On CPUs one draw of 64 bits serves eight elements
    here, a byte each, so the rate is rounded to a multiple of 1/256: 0.2 is 51/256 = 0.1992. The
    expectation is kept exactly.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        if not 0 <= rate < 1:
            raise ValueError(f"`dropout` must be at least 0 and less than 1, but is {rate}")
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        """`x` of any shape."""
        if not self.training or not self.rate:
            return x
        if x.device.type != "cpu":
            return functional.dropout(x, self.rate)
        if x.dim() > 2 and not x.is_contiguous() and x.transpose(0, 1).is_contiguous():
            # torch's LSTM has time outermost in memory, also where the shape says batch. A mask in
            # the same order is multiplied twice as fast.
            return self.forward(x.transpose(0, 1)).transpose(0, 1)
        dropped = min(255, round(256 * self.rate))
        kept = 256 / (256 - dropped)
        return x * (_random_bytes(x.shape) >= dropped).to(x.dtype).mul_(kept)

    def extra_repr(self) -> str:
        """The rate."""
        return f"rate={self.rate}"


def _random_bytes(shape: torch.Size) -> Tensor:
    """Independent uniform bytes, eight of each number that torch's generator draws."""
    count = shape.numel()
    words = torch.empty(-(-count // 8), dtype=torch.int64).random_(-(2**63), 2**63 - 1)
    return words.view(torch.uint8)[:count].view(shape)
