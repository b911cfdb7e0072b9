"""The optimizers of torch, by their names in lower case, with torch's own options."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Annotated

import torch

from seqgen.registry import Registry

Optimizer = torch.optim.Optimizer

optimizers: Registry[Optimizer] = Registry("optimizer", supplied={"params", "lr"})
"""Supplied: the model's parameters and `train.lr`."""

OptimizerFactory = Annotated[Callable[..., Optimizer], optimizers]


def _fits_the_loop(kind: object) -> bool:
    """Whether `step()` works without a closure (LBFGS's does not) and on dense gradients."""
    if not inspect.isclass(kind) or not issubclass(kind, Optimizer) or kind is Optimizer:
        return False
    closure = inspect.signature(kind.step).parameters.get("closure")
    return kind is not torch.optim.SparseAdam and (
        closure is None or closure.default is not closure.empty
    )


for _name, _kind in sorted(vars(torch.optim).items()):
    if _fits_the_loop(_kind):
        optimizers.register(_name.lower())(_kind)
