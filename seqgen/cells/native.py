"""What the cells on torch's native kernels share: layers, lengths and looks at shapes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from seqgen.cells.base import Cell
from seqgen.cells.segments import read_in_segments
from seqgen.cells.state_shape import checked_tensor
from seqgen.state import State, map_state, select

Init = Literal["uniform", "orthogonal"]


class NativeCell(Cell, ABC):
    """Layers of one kind, which a kernel of torch reads over all times at once.

    The state is a tuple with the state of each layer. A subclass says how to call the kernel and
    its counterpart for a single step, and what the state of one layer is where that is not a
    single tensor.

    At each call the weights are those that the parameters of `native` are then. Its `forward`
    reads a list that it keeps beside them, so a caller that puts other weights in their place for
    a while (`torch.func.functional_call`, as `weight_drop` does) would not be heard.
    """

    def __init__(self, native: Callable[..., nn.RNNBase], layers: int, dropout: float) -> None:
        super().__init__()
        if dropout and layers < 2:
            raise ValueError(
                f"`dropout` is between layers: `layers` must be at least 2, but is {layers}"
            )
        self.native = native(num_layers=layers, dropout=dropout, batch_first=True)
        self.output_size = self.native.hidden_size
        self.layers = layers
        self.dropout = dropout

    def first(self, zeros: Tensor) -> State:
        """The initial state of one layer, made of `zeros: [batch, hidden]`; by default these."""
        return zeros

    def checked(self, state: State, batch: int) -> State:
        """The state of one layer, after a look at its shapes; a ValueError where they are wrong.

        By default it is `h: [batch, hidden]`.
        """
        return checked_tensor(state, batch, self.output_size)

    @abstractmethod
    def step_layer(
        self, x: Tensor, state: State, weights: Sequence[Tensor]
    ) -> tuple[Tensor, State]:
        """`x: [batch, input]` to `[batch, hidden]` and the next state, by one layer."""

    @abstractmethod
    def kernel(self, *arguments: Any) -> tuple[Tensor, State]:
        """Outputs and last state `[layers, batch, hidden]` of torch's function for all times."""

    def initial_state(self, batch_size: int) -> tuple[State, ...]:
        """Zeros for each layer."""
        zeros = self.native.all_weights[0][0].new_zeros(batch_size, self.output_size)
        return (self.first(zeros),) * self.layers

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """`x: [batch, input]` to `[batch, hidden]`, layer by layer."""
        following = []
        pasts = self._each_checked(state, x.shape[0])
        for layer, (past, weights) in enumerate(zip(pasts, self.native.all_weights, strict=True)):
            if layer:
                x = nn.functional.dropout(x, self.dropout, self.training)
            x, new = self.step_layer(x, past, weights)
            following.append(new)
        return x, tuple(following)

    def forward(
        self, xs: Tensor, state: State = None, lengths: Tensor | None = None
    ) -> tuple[Tensor, State]:
        """As `Cell.forward`, by the native kernel over all times at once."""
        batch, time, size = xs.shape
        if size != self.native.input_size:
            raise ValueError(f"`xs` must be [..., {self.native.input_size}], but is [..., {size}]")
        past = self.initial_state(batch) if state is None else self._each_checked(state, batch)
        if time == 0 or batch == 0 or (lengths is not None and not bool(lengths.any())):
            return xs.new_zeros(batch, time, self.output_size), past
        if lengths is None:
            return self._read(xs, past)
        if xs.device.type == "cpu":
            return read_in_segments(self._read, xs, past, lengths)
        return self._read_packed(xs, past, lengths)

    def _read(self, xs: Tensor, past: State) -> tuple[Tensor, State]:
        """Rows that are all as long as `xs`."""
        outputs, last = self.kernel(xs, _stacked(past), *self._settings(), True)
        return outputs, self._by_layer(last)

    def _read_packed(self, xs: Tensor, past: State, lengths: Tensor) -> tuple[Tensor, State]:
        """Rows of different length, in one call of the kernel."""
        # A packed sequence has no empty rows: read one input there, then undo it.
        some = (lengths > 0).to(xs.device)
        packed = pack_padded_sequence(
            xs, lengths.clamp(min=1).cpu(), batch_first=True, enforce_sorted=False
        )
        data, sizes, order, back = packed
        # The kernel wants the rows sorted by length; the states go back to the batch's order.
        first = map_state(lambda tensor: tensor.index_select(1, order), _stacked(past))
        read, last = self.kernel(data, sizes, first, *self._settings())
        last = map_state(lambda tensor: tensor.index_select(1, back), last)
        packed = PackedSequence(read, sizes, order, back)
        outputs, _ = pad_packed_sequence(packed, batch_first=True, total_length=xs.shape[1])
        outputs = outputs.masked_fill(~some.view(-1, 1, 1), 0)
        return outputs, select(some, self._by_layer(last), past)

    def _settings(self) -> tuple[list[Tensor], bool, int, float, bool, bool]:
        """Weights, has biases, layers, dropout, training, reads in both directions."""
        weights: list[Tensor] = [each for layer in self.native.all_weights for each in layer]
        return weights, True, self.layers, self.dropout, self.training, False

    def _each_checked(self, state: State, batch: int) -> tuple[State, ...]:
        """`state`, after a look at its shapes: the native code may crash on a wrong one."""
        if not isinstance(state, tuple) or len(state) != self.layers:
            kind = type(self.initial_state(0)[0]).__name__
            raise ValueError(f"`state` must be a tuple of {self.layers} {kind}")
        return tuple(self.checked(layer, batch) for layer in state)

    def _by_layer(self, state: State) -> tuple[State, ...]:
        """Tensors `[layers, batch, hidden]` as one state for each layer."""
        return tuple(
            map_state(lambda tensor, layer=layer: tensor[layer], state)
            for layer in range(self.layers)
        )


def _stacked(state: State) -> State:
    """The states of the layers as the kernel wants them, `[layers, batch, hidden]`."""
    layers = cast(tuple[State, ...], state)
    return map_state(lambda *each: torch.stack(each), layers[0], *layers[1:])


def init_layer(init: Init, weights: Sequence[Tensor], gates: int) -> None:
    """Set `weights` (input, recurrent, input bias, recurrent bias) of a layer with so many gates.

    `uniform` leaves torch's own choice, uniform in +-1/sqrt(hidden). `orthogonal` makes the
    recurrent weights of each gate orthogonal (Saxe et al. 2014) and the biases 0.
    """
    if init == "uniform":
        return
    _, recurrent, input_bias, recurrent_bias = weights
    for gate in recurrent.chunk(gates):
        nn.init.orthogonal_(gate)
    nn.init.zeros_(recurrent_bias)
    nn.init.zeros_(input_bias)
