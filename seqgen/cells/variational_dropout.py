"""The cell `variational_dropout`: around another cell, dropout with one mask for a sequence."""

from __future__ import annotations

from typing import NamedTuple, cast

import torch
from torch import Tensor

from seqgen.cells.base import Cell, CellFactory, cells
from seqgen.cells.inner_state import require_inner
from seqgen.cells.state_shape import checked_tensor
from seqgen.dropout import Dropout
from seqgen.options import Share
from seqgen.state import State


class VariationalState(NamedTuple):
    """The inner cell's state, and the masks `[batch, input]` and `[batch, output]`."""

    cell: State
    of_inputs: Tensor
    of_outputs: Tensor


@cells.register("variational_dropout")
class VariationalDropout(Cell):
    """Dropout whose mask is the same at all times of a sequence (Gal and Ghahramani 2016).

    With f for the inner cell, m and n for the masks and p for the rates `input_dropout` and
    `dropout`::

        y, s' = f(m * x, s)      output = n * y      m, n = 0 with probability p, else 1 / (1 - p)

    The masks are in the state, one row for each sequence: `initial_state` draws them in training,
    `renew` draws them again, and a state that was carried, moved about or saved has its own. In
    evaluation they are ones. What a step does follows from its state alone. All gates of a cell
    read the same m * x (the paper's LSTM with tied weights).

    Of the paper's masks the one on the recurrent way is missing. From outside of a cell it could
    fall on the whole state only, and a state that is handed on from step to step (an LSTM's memory,
    all of a GRU's) would be multiplied by the mask over and over. Use `weight_drop` for that way:
    Merity et al. (2018) have both.
    """

    def __init__(
        self,
        input_size: int,
        cell: CellFactory,
        input_dropout: Share = 0.2,
        dropout: Share = 0.2,
    ) -> None:
        super().__init__()
        self.cell = cells.build(cell, input_size=input_size)
        self.input_size = input_size
        self.output_size = self.cell.output_size
        self.input_dropout = Dropout(input_dropout)
        self.dropout = Dropout(dropout)
        # Goes where the weights go, and so do the masks, also where the inner cell has no weights.
        self.one: Tensor
        self.register_buffer("one", torch.ones(()), persistent=False)

    def initial_state(self, batch_size: int) -> VariationalState:
        """The inner cell's, and masks."""
        return self._with_masks(self.cell.initial_state(batch_size), batch_size)

    def renew(self, state: State) -> VariationalState:
        """The same state with other masks."""
        past, inputs, _ = cast(VariationalState, state)
        return self._with_masks(self.cell.renew(past), inputs.shape[0])

    def summary(self, state: State) -> Tensor:
        """The inner cell's, without the masks."""
        return self.cell.summary(cast(VariationalState, state).cell)

    def state_from(self, summary: Tensor) -> VariationalState:
        """The inner cell's, and masks."""
        return self._with_masks(self.cell.state_from(summary), summary.shape[0])

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """`x: [batch, input]` to `[batch, output]`."""
        past, inputs, outputs = self._checked(state, x.shape[0])
        output, following = self.cell.step_input(x * inputs.to(x.dtype), past)
        return output * outputs.to(output.dtype), VariationalState(following, inputs, outputs)

    def forward(
        self, xs: Tensor, state: State = None, lengths: Tensor | None = None
    ) -> tuple[Tensor, State]:
        """As `Cell.forward`, by the inner cell's route."""
        batch = xs.shape[0]
        given = self.initial_state(batch) if state is None else state
        past, inputs, outputs = self._checked(given, batch)
        ys, following = self.cell(xs * inputs.to(xs.dtype).unsqueeze(1), past, lengths)
        ys = ys * outputs.to(ys.dtype).unsqueeze(1)
        return ys, VariationalState(following, inputs, outputs)

    def _with_masks(self, state: State, batch: int) -> VariationalState:
        """`state` with masks that are new in training and ones in evaluation."""
        inputs = self.input_dropout(self.one.new_ones(batch, self.input_size))
        outputs = self.dropout(self.one.new_ones(batch, self.output_size))
        return VariationalState(state, inputs, outputs)

    def _checked(self, state: State, batch: int) -> VariationalState:
        """`state`, after a look at the masks' shapes; the inner cell looks at its own part."""
        if not isinstance(state, tuple) or len(state) != 3:
            raise ValueError("`state` must be a VariationalState: the cell's state and two masks")
        past, inputs, outputs = state
        require_inner(self.cell, past, "`cell`")
        checked_tensor(inputs, batch, self.input_size)
        checked_tensor(outputs, batch, self.output_size)
        return cast(VariationalState, state)
