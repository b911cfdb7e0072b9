"""The law that whatever a module has learned is in its `state_dict`."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TypeVar

import torch
from torch import nn

from seqgen.state import State
from seqgen.testing.same import require_same

M = TypeVar("M", bound=nn.Module)


def require_saved(make: Callable[..., M], read: Callable[[M], State]) -> None:
    """A breach unless another module of that kind, with the weights of the first, reads the same.

    `make(seed=)` builds one, `read` returns what it makes of some input.
    """
    one, other = make(), make(seed=7)
    with torch.no_grad():
        for each in one.parameters():
            each.add_(0.1 * torch.randn_like(each))
    stored = io.BytesIO()
    torch.save(one.state_dict(), stored)
    stored.seek(0)
    other.load_state_dict(torch.load(stored, weights_only=True))
    says = "another one with the saved weights gives something else; what it has learned or drawn "
    says += "must be a parameter, a buffer, or in an nn.ModuleList (not a plain list)"
    require_same(read(other), read(one), says, 1e-6)
