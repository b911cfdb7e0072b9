"""The cell `rnn`: layers of the simple recurrent network, trained by torch's native kernel."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn

from seqgen.cells.base import cells
from seqgen.cells.native import Init, NativeCell, init_layer
from seqgen.options import Few, Share, Size
from seqgen.state import State

Nonlinearity = Literal["tanh", "relu"]

KERNELS = {"tanh": torch.rnn_tanh, "relu": torch.rnn_relu}
CELL_KERNELS = {"tanh": torch.rnn_tanh_cell, "relu": torch.rnn_relu_cell}


@cells.register("rnn")
class RNN(NativeCell):
    """The simple recurrent network (Elman 1990), native kernel.

    For one layer, with f either tanh or relu::

        h' = f(W x + b + U h + d)

    With relu the state may grow without bound: then a start with `init: orthogonal` and clipped
    gradients help (Le et al. 2015 start from the identity, which is orthogonal as well). The state
    is a tuple with `h: [batch, hidden]` of each layer. `dropout` is between layers; for `init` see
    `init_layer`.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: Size = 256,
        layers: Few = 1,
        dropout: Share = 0.0,
        nonlinearity: Nonlinearity = "tanh",
        init: Init = "uniform",
    ) -> None:
        native = partial(nn.RNN, input_size, hidden_size, nonlinearity=nonlinearity)
        super().__init__(native, layers, dropout)
        self.nonlinearity = nonlinearity
        for weights in self.native.all_weights:
            init_layer(init, weights, gates=1)

    def step_layer(
        self, x: Tensor, state: State, weights: Sequence[Tensor]
    ) -> tuple[Tensor, State]:
        """`x: [batch, input]` to `[batch, hidden]`, twice."""
        hidden = CELL_KERNELS[self.nonlinearity](x, state, *weights)  # type: ignore[arg-type]
        return hidden, hidden

    def kernel(self, *arguments: Any) -> tuple[Tensor, State]:
        """`torch.rnn_tanh` or `torch.rnn_relu`."""
        outputs, hidden = KERNELS[self.nonlinearity](*arguments)
        return outputs, hidden
