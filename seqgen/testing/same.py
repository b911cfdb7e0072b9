"""Comparing what a part returned with what it should have: breaches in words."""

from __future__ import annotations

import torch
from torch import Tensor

from seqgen.state import State, leaves
from seqgen.testing.laws import BreachError

TOLERANCE = 1e-4


def require_same(found: State, wanted: State, says: str, tolerance: float = TOLERANCE) -> None:
    """A breach that `says` what differs, unless all tensors agree to within `tolerance`."""
    for one, other in zip(leaves(found), leaves(wanted), strict=True):
        if one.shape != other.shape:
            raise BreachError(f"{says}: the shape is {list(one.shape)}, not {list(other.shape)}")
        if not torch.allclose(one, other, rtol=tolerance, atol=tolerance):
            largest = float((one - other).abs().max())
            raise BreachError(f"{says}: the largest difference is {largest:.2g}")


def require_finite(state: State, what: str, says: str) -> None:
    """A breach where a number of `what` is NaN or infinite."""
    for tensor in leaves(state):
        if not tensor.isfinite().all():
            kind = "NaN" if tensor.isnan().any() else "infinite numbers"
            raise BreachError(f"{what} has {kind} {says}")


def require_shape(tensor: object, shape: tuple[int, ...], what: str, says: str) -> Tensor:
    """`tensor`, if it is one of that shape; else a breach."""
    if not isinstance(tensor, Tensor):
        raise BreachError(f"{what} must be a tensor of {list(shape)}, but is {named(tensor)}{says}")
    if tensor.shape != shape:
        raise BreachError(f"{what} must be {list(shape)}, but is {list(tensor.shape)}{says}")
    return tensor


def named(value: object) -> str:
    """What a value is, for a sentence: `None`, `a list`, `a tensor of [4, 8]`."""
    if value is None:
        return "None"
    if isinstance(value, Tensor):
        return f"a tensor of {list(value.shape)}"
    kind = type(value).__name__
    if isinstance(value, tuple):
        return f"a {kind} of {len(value)}"
    return f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"
