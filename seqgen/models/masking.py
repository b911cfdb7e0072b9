"""Masking: what stands behind the end of a row counts for nothing."""

from __future__ import annotations

import torch
from torch import Tensor


def real(values: Tensor, lengths: Tensor | None) -> Tensor:
    """`values: [batch, time]` with zeros behind each row's length; as they are where it is None."""
    if lengths is None:
        return values
    moments = torch.arange(values.shape[1], device=values.device)
    return values.masked_fill(moments >= lengths.unsqueeze(1), 0)
