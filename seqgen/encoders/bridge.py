"""Bridges, from an encoder's summary to what a cell begins with. `@bridges.register("name")`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Annotated

import torch
from torch import Tensor, nn

from seqgen.registry import Registry

bridges: Registry[Bridge] = Registry("bridge", supplied={"summary_size", "state_size"})


class Bridge(nn.Module, ABC):
    """`[batch, summary_size] -> [batch, state_size]`, what `Cell.state_from` takes."""

    @abstractmethod
    def forward(self, summary: Tensor) -> Tensor:
        """The numbers of the first state."""


BridgeFactory = Annotated[Callable[..., Bridge], bridges]
"""Called with `summary_size=` and `state_size=`, it returns the bridge."""


@bridges.register("linear")
class LinearBridge(Bridge):
    """tanh(W s + b), for an encoder and a decoder of any kinds and sizes."""

    def __init__(self, summary_size: int, state_size: int) -> None:
        super().__init__()
        self.linear = nn.Linear(summary_size, state_size)

    def forward(self, summary: Tensor) -> Tensor:
        """As above."""
        return torch.tanh(self.linear(summary))


@bridges.register("copy")
class CopyBridge(Bridge):
    """The summary as it is, where it is as large as the state: for two cells of one kind."""

    def __init__(self, summary_size: int, state_size: int) -> None:
        super().__init__()
        if summary_size != state_size:
            raise ValueError(
                f"bridge `copy` needs a summary as large as the state, but they have "
                f"{summary_size} and {state_size} numbers; `linear` maps any to any"
            )

    def forward(self, summary: Tensor) -> Tensor:
        """The same."""
        return summary


@bridges.register("zeros")
class ZerosBridge(Bridge):
    """Zeros: nothing passes but what attention reads."""

    def __init__(self, state_size: int) -> None:
        super().__init__()
        self.state_size = state_size

    def forward(self, summary: Tensor) -> Tensor:
        """Zeros, `[batch, state_size]`."""
        return summary.new_zeros(summary.shape[0], self.state_size)
