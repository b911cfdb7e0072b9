"""A cell on trial: building it, the inputs it reads and the states it may be in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from seqgen.cells import Cell
from seqgen.state import State, detach

BATCH, TIME = 4, 6


@dataclass(frozen=True)
class CellCase:
    """How to build the cell, and the width of its input."""

    factory: Callable[..., Any]
    input_size: int

    def make(self, dtype: torch.dtype = torch.float32, seed: int = 1) -> Cell:
        """The cell with weights from `seed`, in evaluation mode."""
        torch.manual_seed(seed)
        cell: Cell = self.factory(input_size=self.input_size)
        return cell.to(dtype).eval()

    def inputs(
        self, dtype: torch.dtype = torch.float32, batch: int = BATCH, time: int = TIME
    ) -> Tensor:
        """Random inputs `[batch, time, input]`, always the same ones."""
        generator = torch.Generator().manual_seed(2)
        return torch.randn(batch, time, self.input_size, generator=generator, dtype=dtype)

    def some_state(self, cell: Cell, dtype: torch.dtype = torch.float32, batch: int = BATCH) -> Any:
        """A state that the cell may well be in: the one after two steps."""
        generator = torch.Generator().manual_seed(3)
        xs = torch.randn(batch, 2, self.input_size, generator=generator, dtype=dtype)
        return detach(repeated_step(cell, xs, cell.initial_state(batch))[1])


def repeated_step(cell: Cell, xs: Tensor, state: State) -> tuple[Tensor, State]:
    """What `forward` must equal."""
    outputs = []
    for x in xs.unbind(1):
        output, state = cell.step_input(x, state)
        outputs.append(output)
    return torch.stack(outputs, 1), state
