"""The cell `lstm`: layers of long short-term memory, trained by torch's native kernel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from seqgen.cells.base import Cell, cells
from seqgen.options import Share, Size
from seqgen.state import State, select

Init = Literal["uniform", "orthogonal"]


class LSTMState(NamedTuple):
    """What one layer remembers: `hidden` and `memory`, both `[batch, hidden]`."""

    hidden: Tensor
    memory: Tensor


@cells.register("lstm")
class LSTM(Cell):
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
        layers: Size = 1,
        dropout: Share = 0.0,
        init: Init = "uniform",
    ) -> None:
        super().__init__()
        if dropout and layers < 2:
            raise ValueError(
                f"`dropout` is between layers: `layers` must be at least 2, but is {layers}"
            )
        self.output_size = hidden_size
        self.layers = layers
        self.dropout = dropout
        self.native = nn.LSTM(input_size, hidden_size, layers, dropout=dropout, batch_first=True)
        for weights in self.native.all_weights:
            init_lstm(init, weights)

    def initial_state(self, batch_size: int) -> tuple[LSTMState, ...]:
        """Zeros, `[batch, hidden]` twice for each layer."""
        zeros = self.native.all_weights[0][0].new_zeros(batch_size, self.output_size)
        return tuple(LSTMState(zeros, zeros) for _ in range(self.layers))

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """`x: [batch, input]` to `[batch, hidden]`, layer by layer."""
        following = []
        for layer, (past, weights) in enumerate(
            zip(self._checked(state, x.shape[0]), self.native.all_weights, strict=True)
        ):
            if layer:
                x = nn.functional.dropout(x, self.dropout, self.training)
            x, memory = torch.lstm_cell(x, past, *weights)
            following.append(LSTMState(x, memory))
        return x, tuple(following)

    def forward(
        self, xs: Tensor, state: State = None, lengths: Tensor | None = None
    ) -> tuple[Tensor, State]:
        """As `Cell.forward`, by the native kernel over all times at once."""
        batch, time, _ = xs.shape
        past = self.initial_state(batch) if state is None else self._checked(state, batch)
        if time == 0 or batch == 0:
            return xs.new_zeros(batch, time, self.output_size), past
        # The kernel wants [layers, batch, hidden].
        native_state = (
            torch.stack([s.hidden for s in past]),
            torch.stack([s.memory for s in past]),
        )
        if lengths is None:
            outputs, (hidden, memory) = self.native(xs, native_state)
            return outputs, _by_layer(hidden, memory)
        # A packed sequence has no empty rows: read one input there, then undo it.
        some = (lengths > 0).to(xs.device)
        packed = pack_padded_sequence(
            xs, lengths.clamp(min=1).cpu(), batch_first=True, enforce_sorted=False
        )
        packed_outputs, (hidden, memory) = self.native(packed, native_state)
        outputs, _ = pad_packed_sequence(packed_outputs, batch_first=True, total_length=time)
        return outputs.masked_fill(~some.view(-1, 1, 1), 0), select(
            some, _by_layer(hidden, memory), past
        )

    def _checked(self, state: State, batch: int) -> tuple[LSTMState, ...]:
        """`state`, after a look at its shapes: the native code may crash on a wrong one."""
        layers = cast(tuple[LSTMState, ...], state)
        if not isinstance(state, tuple) or len(layers) != self.layers:
            raise ValueError(f"`state` must be a tuple of {self.layers} LSTMState")
        for layer in layers:
            check_lstm_state(layer, batch, self.output_size)
        return layers


def init_lstm(init: Init, weights: Sequence[Tensor]) -> None:
    """Set `weights` (input, recurrent, input bias, recurrent bias) of one layer.

    `uniform` leaves torch's own choice, uniform in +-1/sqrt(hidden). `orthogonal` makes the
    recurrent weights of each gate orthogonal (Saxe et al. 2014) and the biases 0, but 1 for the
    forget gate, so that the memory lasts from the start (Jozefowicz et al. 2015).
    """
    if init == "uniform":
        return
    _, recurrent, input_bias, recurrent_bias = weights
    for gate in recurrent.chunk(4):
        nn.init.orthogonal_(gate)
    nn.init.zeros_(recurrent_bias)
    nn.init.zeros_(input_bias)
    nn.init.ones_(input_bias.chunk(4)[1])  # torch's order of gates: input, forget, cell, output


def check_lstm_state(state: State, batch: int, hidden: int) -> None:
    """A ValueError unless `state` is two tensors of `[batch, hidden]`."""
    if not isinstance(state, tuple) or len(state) != 2:
        raise ValueError("`state` must be an LSTMState, hidden and memory")
    for name, tensor in zip(LSTMState._fields, state, strict=True):
        if not isinstance(tensor, Tensor) or tensor.shape != (batch, hidden):
            shape = list(tensor.shape) if isinstance(tensor, Tensor) else type(tensor).__name__
            raise ValueError(f"`state.{name}` must be [{batch}, {hidden}], but is {shape}")


def _by_layer(hidden: Tensor, memory: Tensor) -> tuple[LSTMState, ...]:
    """Two tensors `[layers, batch, hidden]` as one LSTMState for each layer."""
    return tuple(LSTMState(h, c) for h, c in zip(hidden.unbind(0), memory.unbind(0), strict=True))
