"""The shape of a cell's state: a ValueError that names what is wrong in one given from outside."""

from __future__ import annotations

from typing import cast

from torch import Tensor

from seqgen.state import State


def checked_tensor(state: State, batch: int, hidden: int) -> Tensor:
    """`state`, which must be one tensor `[batch, hidden]`."""
    return _checked(state, "state", (batch, hidden))


def checked_parts(
    state: State, fields: tuple[str, ...], batch: int, hidden: int
) -> tuple[Tensor, ...]:
    """`state`, which must be a tuple with a tensor `[batch, hidden]` for each of `fields`."""
    if not isinstance(state, tuple) or len(state) != len(fields):
        raise ValueError(f"`state` must be a tuple of {', '.join(fields)}")
    for name, part in zip(fields, state, strict=True):
        _checked(part, f"state.{name}", (batch, hidden))
    return cast(tuple[Tensor, ...], state)


def _checked(tensor: State, name: str, shape: tuple[int, int]) -> Tensor:
    if not isinstance(tensor, Tensor) or tensor.shape != shape:
        found = list(tensor.shape) if isinstance(tensor, Tensor) else type(tensor).__name__
        raise ValueError(f"`{name}` must be {list(shape)}, but is {found}")
    return tensor
