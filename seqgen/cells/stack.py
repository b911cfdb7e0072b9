"""The cell `stack`: cells on top of one another, which is a cell again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from torch import Tensor, nn

from seqgen.cells.base import Cell, CellFactory, cells
from seqgen.dropout import Dropout
from seqgen.options import Share
from seqgen.state import State


@cells.register("stack")
class Stack(Cell):
    """Each cell reads the outputs of the one below; the state is the tuple of their states.

    `cells` lists them from the bottom up, of any kinds; `dropout` is between them.
    """

    def __init__(self, input_size: int, cells: Sequence[CellFactory], dropout: Share = 0.0) -> None:
        super().__init__()
        if not cells:
            raise ValueError("`cells` must be at least 1 long, but is empty")
        layers: list[Cell] = []
        size = input_size
        for make in cells:
            layers.append(make(input_size=size))
            size = layers[-1].output_size
        self.cells = nn.ModuleList(layers)
        self.dropout = Dropout(dropout)
        self.output_size = size

    def initial_state(self, batch_size: int) -> tuple[State, ...]:
        """The initial state of each cell."""
        return tuple(cell.initial_state(batch_size) for cell in self._layers())

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """`x: [batch, input]` to the top cell's output."""
        following = []
        for index, (cell, past) in enumerate(zip(self._layers(), self._parts(state), strict=True)):
            x, new = cell.step_input(self.dropout(x) if index else x, past)
            following.append(new)
        return x, tuple(following)

    def forward(
        self, xs: Tensor, state: State = None, lengths: Tensor | None = None
    ) -> tuple[Tensor, State]:
        """As `Cell.forward`, one cell after the other over all times, each by its fastest route."""
        pasts = self.initial_state(xs.shape[0]) if state is None else self._parts(state)
        following = []
        for index, (cell, past) in enumerate(zip(self._layers(), pasts, strict=True)):
            xs, new = cell(self.dropout(xs) if index else xs, past, lengths)
            following.append(new)
        return xs, tuple(following)

    def _layers(self) -> list[Cell]:
        return cast(list[Cell], list(self.cells))

    def _parts(self, state: State) -> tuple[State, ...]:
        """The state of each cell; a ValueError where one is missing."""
        layers = self._layers()
        if not isinstance(state, tuple) or len(state) != len(layers):
            raise ValueError(f"`state` must be a tuple of {len(layers)} states")
        for index, (cell, part) in enumerate(zip(layers, state, strict=True)):
            if part is None and cell.initial_state(1) is not None:  # None would begin anew
                raise ValueError(f"`state` must have a state for each cell, but {index} has None")
        return state
