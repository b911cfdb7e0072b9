"""The cell `gru`: layers of gated recurrent units, trained by torch's native kernel."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from seqgen.cells.base import cells
from seqgen.cells.native import Init, NativeCell, init_layer
from seqgen.options import Few, Share, Size
from seqgen.state import State


@cells.register("gru")
class GRU(NativeCell):
    """The gated recurrent unit (Cho et al. 2014), native kernel.

    For one layer, with W and U for weights of inputs and of states, and biases b and d::

        r = sigmoid(W_r x + b_r + U_r h + d_r)      z = sigmoid(W_z x + b_z + U_z h + d_z)
        n = tanh(W_n x + b_n + r * (U_n h + d_n))   h' = (1 - z) * n + z * h

    The gate r stands behind U_n, as in torch's kernel (in the paper it stands before). The state is
    a tuple with `h: [batch, hidden]` of each layer. `dropout` is between layers; for `init` see
    `init_layer`.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: Size = 256,
        layers: Few = 1,
        dropout: Share = 0.0,
        init: Init = "uniform",
    ) -> None:
        super().__init__(partial(nn.GRU, input_size, hidden_size), layers, dropout)
        for weights in self.native.all_weights:
            init_layer(init, weights, gates=3)

    def step_layer(
        self, x: Tensor, state: State, weights: Sequence[Tensor]
    ) -> tuple[Tensor, State]:
        """`x: [batch, input]` to `[batch, hidden]`, twice."""
        hidden = torch.gru_cell(x, state, *weights)  # type: ignore[arg-type]
        return hidden, hidden

    def kernel(self, *arguments: Any) -> tuple[Tensor, State]:
        """`torch.gru`."""
        outputs, hidden = torch.gru(*arguments)
        return outputs, hidden
