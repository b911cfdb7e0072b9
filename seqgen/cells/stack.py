"""The cell `stack`: cells on top of one another, which is a cell again."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn

from seqgen.cells.base import Cell, CellFactory, cells
from seqgen.cells.inner_state import require_inner
from seqgen.dropout import Dropout
from seqgen.options import Share
from seqgen.state import State


@cells.register("stack")
class Stack(Cell):
    """Each cell reads the outputs of the one below; the state is the tuple of their states.

    `cells` lists them from the bottom up, of any kinds; `dropout` is between them. With f for a
    cell, the next one reads of its input x::

        y = x + LN(f(dropout(x)))

    where `x +` is there with `residual` only, for cells whose input and output have the same size,
    and LN, a layer normalisation of the cell's own (Ba et al. 2016), with `layer_norm` only. It
    stands inside of the sum, so that from bottom to top there is a way on which nothing is changed
    (He et al. 2016). The lowest cell's input has no dropout.
    """

    def __init__(
        self,
        input_size: int,
        cells: Sequence[CellFactory],
        dropout: Share = 0.0,
        residual: bool = False,
        layer_norm: bool = False,
    ) -> None:
        super().__init__()
        if not cells:
            raise ValueError("`cells` must be at least 1 long, but is empty")
        layers: list[Cell] = []
        sizes = [input_size]
        for make in cells:
            layers.append(make(input_size=sizes[-1]))
            sizes.append(layers[-1].output_size)
        self.cells = nn.ModuleList(layers)
        self.dropout = Dropout(dropout)
        norms = [nn.LayerNorm(size) if layer_norm else nn.Identity() for size in sizes[1:]]
        self.norms = nn.ModuleList(norms)
        self.residual = [residual and a == b for a, b in pairwise(sizes)]
        if residual and not any(self.residual):
            raise ValueError(
                "`residual` needs a cell with an output as wide as its input, but the widths are "
                f"{', '.join(map(str, sizes))}, from the bottom up"
            )
        self._changes_padding = residual or layer_norm
        self.output_size = sizes[-1]

    def initial_state(self, batch_size: int) -> tuple[State, ...]:
        """The initial state of each cell."""
        return tuple(cell.initial_state(batch_size) for cell in self._layers())

    def renew(self, state: State) -> tuple[State, ...]:
        """The state of each cell, renewed."""
        pairs = zip(self._layers(), self._parts(state), strict=True)
        return tuple(cell.renew(part) for cell, part in pairs)

    def summary(self, state: State) -> Tensor:
        """Those of the cells, from the bottom up, one behind the other."""
        pairs = zip(self._layers(), self._parts(state), strict=True)
        return torch.cat([cell.summary(part) for cell, part in pairs], 1)

    def state_from(self, summary: Tensor) -> tuple[State, ...]:
        """Each cell's own part of the summary as its state."""
        sizes = [each.summary_size for each in self._layers()]
        parts = torch.split(summary, sizes, 1)
        pairs = zip(self._layers(), parts, strict=True)
        return tuple(cell.state_from(part) for cell, part in pairs)

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """`x: [batch, input]` to the top cell's output."""
        following = []
        for index, (cell, past) in enumerate(zip(self._layers(), self._parts(state), strict=True)):
            output, new = cell.step_input(self.dropout(x) if index else x, past)
            x = self._above(index, x, output)
            following.append(new)
        return x, tuple(following)

    def forward(
        self, xs: Tensor, state: State = None, lengths: Tensor | None = None
    ) -> tuple[Tensor, State]:
        """As `Cell.forward`, one cell after the other over all times, each by its fastest route."""
        pasts = self.initial_state(xs.shape[0]) if state is None else self._parts(state)
        following = []
        for index, (cell, past) in enumerate(zip(self._layers(), pasts, strict=True)):
            outputs, new = cell(self.dropout(xs) if index else xs, past, lengths)
            xs = self._above(index, xs, outputs)
            following.append(new)
        if lengths is not None and self._changes_padding:
            moments = torch.arange(xs.shape[1], device=xs.device)
            behind = moments >= lengths.to(xs.device).unsqueeze(1)
            xs = xs.masked_fill(behind.unsqueeze(2), 0)
        return xs, tuple(following)

    def _above(self, index: int, x: Tensor, output: Tensor) -> Tensor:
        """What the next cell reads, of the input and the output of cell number `index`."""
        output = cast(Tensor, self.norms[index](output))
        return x + output if self.residual[index] else output

    def _layers(self) -> list[Cell]:
        return cast(list[Cell], list(self.cells))

    def _parts(self, state: State) -> tuple[State, ...]:
        """The state of each cell; a ValueError where one is missing."""
        layers = self._layers()
        if not isinstance(state, tuple) or len(state) != len(layers):
            raise ValueError(f"`state` must be a tuple of {len(layers)} states")
        for index, (cell, part) in enumerate(zip(layers, state, strict=True)):
            require_inner(cell, part, str(index))
        return state
