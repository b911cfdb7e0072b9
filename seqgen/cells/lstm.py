"""The cell `lstm`: layers of long short-term memory, trained by torch's native kernel."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from seqgen.cells.base import cells
from seqgen.cells.native import Init, NativeCell, init_layer
from seqgen.cells.state_shape import checked_parts
from seqgen.options import Few, Share, Size
from seqgen.state import State


class LSTMState(NamedTuple):
    """What one layer remembers: `hidden` and `memory`, both `[batch, hidden]`."""

    hidden: Tensor
    memory: Tensor


@cells.register("lstm")
class LSTM(NativeCell):
    """Long short-term memory (Hochreiter and Schmidhuber 1997, with forget gates), native kernel.

    For one layer, with gates i, f, o and candidate g, all affine in `[x, h]`::

        c' = sigmoid(f) * c + sigmoid(i) * tanh(g)        h' = sigmoid(o) * tanh(c')

    The state is a tuple with an `LSTMState` for each layer. `dropout` is between layers; for
    `init` see `init_lstm`.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: Size = 256,
        layers: Few = 1,
        dropout: Share = 0.0,
        init: Init = "uniform",
    ) -> None:
        super().__init__(partial(nn.LSTM, input_size, hidden_size), layers, dropout)
        for weights in self.native.all_weights:
            init_lstm(init, weights)

    def first(self, zeros: Tensor) -> LSTMState:
        """Zeros, twice."""
        return LSTMState(zeros, zeros)

    def checked(self, state: State, batch: int) -> LSTMState:
        """`hidden` and `memory`, both `[batch, hidden]`."""
        return checked_lstm_state(state, batch, self.output_size)

    def step_layer(
        self, x: Tensor, state: State, weights: Sequence[Tensor]
    ) -> tuple[Tensor, State]:
        """`x: [batch, input]` to `[batch, hidden]` and an `LSTMState`."""
        hidden, memory = torch.lstm_cell(x, state, *weights)  # type: ignore[arg-type]
        return hidden, LSTMState(hidden, memory)

    def kernel(self, *arguments: Any) -> tuple[Tensor, State]:
        """`torch.lstm`."""
        outputs, hidden, memory = torch.lstm(*arguments)
        return outputs, LSTMState(hidden, memory)


def init_lstm(init: Init, weights: Sequence[Tensor]) -> None:
    """As `init_layer`, but with `orthogonal` the biases of the forget gate are 1.

    So the memory lasts from the start (Jozefowicz et al. 2015).
    """
    init_layer(init, weights, gates=4)
    if init == "orthogonal":
        nn.init.ones_(weights[2].chunk(4)[1])  # torch's order of gates: input, forget, cell, output


def checked_lstm_state(state: State, batch: int, hidden: int) -> LSTMState:
    """`state`, which must be two tensors of `[batch, hidden]`; a ValueError where it is not."""
    return LSTMState(*checked_parts(state, LSTMState._fields, batch, hidden))
