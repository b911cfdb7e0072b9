"""The cell `zoneout`: around another cell, it keeps parts of the old state at random."""

from __future__ import annotations

from itertools import cycle

import torch
from torch import Tensor

from seqgen.cells.base import Cell, CellFactory, cells
from seqgen.options import Share
from seqgen.state import State, leaves, rebuild


@cells.register("zoneout")
class Zoneout(Cell):
    """Zoneout (Krueger et al. 2017): at each step, some numbers of the state stay what they were.

    For each tensor s of the inner cell's state, s' after its step, and the tensor's rate r::

        in training      s, where a draw for this number is below r, else s'
        in evaluation    r * s + (1 - r) * s'

    `rates` are in the order of the state's tensors, for an LSTM those of hidden and memory (the
    paper has 0.05 and 0.5 on Penn Treebank); where there are fewer, they begin again, so a single
    one is for all and two are for each layer of an LSTM. Tensors of integers are left alone. As in
    the paper, s' of the hidden state is made of a memory of which nothing is zoned out yet.

    The output is zoned out too where it is one of the state's tensors, as the hidden state is for
    most cells. Only the top layer's is; to have it between layers, wrap each cell of a stack.

    Each number of the state must mean something by itself. Those of `slstm` do not: they are scaled
    by its stabiliser, and mixing old with new ones makes neither.
    """

    def __init__(
        self, input_size: int, cell: CellFactory, rates: tuple[Share, ...] = (0.1,)
    ) -> None:
        super().__init__()
        self.cell = cells.build(cell, input_size=input_size)
        self.output_size = self.cell.output_size
        self.rates = rates
        tensors = sum(leaf.is_floating_point() for leaf in leaves(self.cell.initial_state(1)))
        if not self.rates or tensors % len(self.rates):
            raise ValueError(
                f"`rates` must be one for all or one for each tensor of the state, which has "
                f"{tensors}, but there are {len(self.rates)}"
            )

    def initial_state(self, batch_size: int) -> State:
        """The inner cell's."""
        return self.cell.initial_state(batch_size)

    def renew(self, state: State) -> State:
        """As the inner cell does."""
        return self.cell.renew(state)

    def summary(self, state: State) -> Tensor:
        """The inner cell's."""
        return self.cell.summary(state)

    def state_from(self, summary: Tensor) -> State:
        """The inner cell's."""
        return self.cell.state_from(summary)

    def project(self, xs: Tensor) -> Tensor:
        """As the inner cell does."""
        return self.cell.project(xs)

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """A step of the inner cell, part of which is undone."""
        output, following = self.cell.step(x, state)
        rates = cycle(self.rates)
        before, after, zoned = leaves(state), list(leaves(following)), []
        for old, new in zip(before, after, strict=True):
            mixed = self._mixed(old, new, next(rates)) if new.is_floating_point() else new
            zoned.append(mixed)
            if output is new:
                output = mixed
        return output, rebuild(following, zoned)

    def _mixed(self, old: Tensor, new: Tensor, rate: float) -> Tensor:
        """`old` and `new` of one tensor, element by element."""
        if self.training:
            return torch.where(torch.rand(new.shape, device=new.device) < rate, old, new)
        return rate * old + (1 - rate) * new
