"""The cells on torch's native kernels: `rnn`, `gru` and `lstm`, and one layer of each in a loop.

A *kernel* is what torch has for a kind of layer, a step and a sequence. *Segments* are how rows of
different length are read by a kernel that knows of no lengths.
"""

from __future__ import annotations

from abc import ABC
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Literal, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import pad
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from seqgen.cells.base import Cell, Step, Tabulated, cells, checked_parts, checked_tensor
from seqgen.options import Few, Share, Size
from seqgen.state import State, map_state, reorder, select

Init = Literal["uniform", "orthogonal"]
Nonlinearity = Literal["tanh", "relu"]


class LSTMState(NamedTuple):
    """What one layer remembers: `hidden` and `memory`, both `[batch, hidden]`."""

    hidden: Tensor
    memory: Tensor


@dataclass(frozen=True)
class Kernel:
    """A kind of layer: its step, its way to read whole sequences, its gates and its state."""

    step_of: Callable[..., Any]
    sequence_of: Callable[..., Any]
    gates: int
    has_memory: bool = False

    def first(self, zeros: Tensor) -> State:
        """The initial state of a layer, made of `zeros: [batch, hidden]`."""
        return LSTMState(zeros, zeros) if self.has_memory else zeros

    def checked(self, state: State, batch: int, size: int) -> State:
        """The state of a layer. Raises ValueError if its shapes are wrong."""
        if self.has_memory:
            return LSTMState(*checked_parts(state, LSTMState._fields, batch, size))
        return checked_tensor(state, batch, size)

    def step(self, x: Tensor, state: State, weights: Sequence[Tensor]) -> Step:
        """`x: [batch, input]` to `[batch, hidden]` and the next state."""
        found = self.step_of(x, state, *weights)
        return (found[0], LSTMState(*found)) if self.has_memory else (found, found)

    def tabulated(self, inputs: Tensor, weights: Sequence[Tensor]) -> Tabulated:
        """The products of `inputs: [n, size]` with the input weights, as `Cell.tabulated` wants
        them. On CPUs: the kernels of other devices want one bias for all rows."""
        weight, recurrent, bias, recurrent_bias = weights
        size = inputs.shape[1]
        of_inputs, of_rest = weight[:, :size], weight[:, size:].t()
        if self.has_memory:
            table = nn.functional.linear(inputs, of_inputs, bias + recurrent_bias)
            return table, partial(lstm_step, recurrent.t(), of_rest)
        nothing = weight[:, :0]

        def step(rows: Tensor, state: State, rest: Tensor | None = None) -> Step:
            rows = rows if rest is None else torch.addmm(rows, rest, of_rest)
            # Of an input of size 0 the kernel keeps the bias: here each row has its own.
            own = (nothing, recurrent, rows, recurrent_bias)
            return self.step(rows.new_empty(len(rows), 0), state, own)

        return nn.functional.linear(inputs, of_inputs, bias), step

    def read(self, *arguments: Any) -> Step:
        """Outputs and last state, each tensor of it `[layers, batch, hidden]`."""
        outputs, *last = self.sequence_of(*arguments)
        return outputs, LSTMState(*last) if self.has_memory else last[0]


def lstm_step(
    recurrent: Tensor, of_rest: Tensor, rows: Tensor, state: LSTMState, rest: Tensor | None = None
) -> Step:
    """A step of an LSTM of which `rows: [batch, 4 * hidden]` have all but the products of the state
    with `recurrent: [hidden, 4 * hidden]` and of the `rest` of the input with `of_rest`.

    It takes fewer operations than torch's own step.
    """
    hidden, memory = state
    rows = rows if rest is None else torch.addmm(rows, rest, of_rest)
    i, f, g, o = torch.addmm(rows, hidden, recurrent).chunk(4, 1)
    memory = torch.addcmul(f.sigmoid() * memory, i.sigmoid(), g.tanh())
    hidden = o.sigmoid() * memory.tanh()
    return hidden, LSTMState(hidden, memory)


RNNS = {
    "tanh": Kernel(torch.rnn_tanh_cell, torch.rnn_tanh, gates=1),
    "relu": Kernel(torch.rnn_relu_cell, torch.rnn_relu, gates=1),
}
GRUS = Kernel(torch.gru_cell, torch.gru, gates=3)
LSTMS = Kernel(torch.lstm_cell, torch.lstm, gates=4, has_memory=True)


def init_layer(init: Init, weights: Sequence[Tensor], kernel: Kernel) -> None:
    """Set `weights` (input, recurrent, input bias, recurrent bias) of a layer.

    `uniform` leaves torch's own choice, uniform in +-1/sqrt(hidden). `orthogonal` makes the
    recurrent weights of each gate orthogonal (Saxe et al. 2014) and the biases 0, but 1 for the
    forget gate of an LSTM, so that the memory lasts from the start (Jozefowicz et al. 2015).
    """
    if init == "uniform":
        return
    _, recurrent, input_bias, recurrent_bias = weights
    for gate in recurrent.chunk(kernel.gates):
        nn.init.orthogonal_(gate)
    nn.init.zeros_(recurrent_bias)
    nn.init.zeros_(input_bias)
    if kernel.has_memory:
        nn.init.ones_(input_bias.chunk(4)[1])  # torch's order of gates: input, forget, cell, output


class NativeCell(Cell, ABC):
    """Layers of one kind, which a kernel of torch reads over all times at once.

    The state is a tuple with the state of each layer.

    At each call the weights are those that the parameters of `native` are then. Its own `forward`
    reads a list of weights that it keeps, so a caller that replaces parameters for a while
    (`torch.func.functional_call`, as `weight_drop` does) would not be heard.
    """

    network: ClassVar[Callable[..., nn.RNNBase]]
    """What has the weights."""
    kernel: Kernel

    def __init__(
        self,
        input_size: int,
        hidden_size: Size = 256,
        layers: Few = 1,
        dropout: Share = 0.0,
        init: Init = "uniform",
    ) -> None:
        super().__init__()
        if dropout and layers < 2:
            raise ValueError(
                f"`dropout` is between layers: `layers` must be at least 2, but is {layers}"
            )
        self.native = self.network(
            input_size, hidden_size, layers, dropout=dropout, batch_first=True
        )
        self.output_size = hidden_size
        self.layers = layers
        self.dropout = dropout
        for weights in self.native.all_weights:
            init_layer(init, weights, self.kernel)

    def initial_state(self, batch_size: int) -> tuple[State, ...]:
        zeros = self.native.all_weights[0][0].new_zeros(batch_size, self.output_size)
        return (self.kernel.first(zeros),) * self.layers

    def step(self, x: Tensor, state: State) -> Step:
        following = []
        pasts = self._each_checked(state, x.shape[0])
        for layer, (past, weights) in enumerate(zip(pasts, self.native.all_weights, strict=True)):
            if layer:
                x = nn.functional.dropout(x, self.dropout, self.training)
            x, new = self.kernel.step(x, past, weights)
            following.append(new)
        return x, tuple(following)

    def tabulated(self, inputs: Tensor, rest_size: int = 0) -> Tabulated:
        if inputs.device.type != "cpu":
            return super().tabulated(inputs, rest_size)
        first, *others = self.native.all_weights
        table, first_step = self.kernel.tabulated(inputs, first)

        def step(x: Tensor, state: State, *rest: Tensor) -> Step:
            past, *pasts = cast(tuple[State, ...], state)
            x, new = first_step(x, past, *rest)
            following = [new]
            for past, weights in zip(pasts, others, strict=True):
                x, new = self.kernel.step(x, past, weights)
                following.append(new)
            return x, tuple(following)

        return table, step

    @property
    def is_derivable(self) -> bool:
        """On a CPU torch's GRU and RNN are slower than one layer by a fast route; its LSTM is
        not."""
        on_cpu = self.native.all_weights[0][0].device.type == "cpu"
        return on_cpu and self.layers == 1 and not self.kernel.has_memory

    def forward(self, xs: Tensor, state: State = None, lengths: Tensor | None = None) -> Step:
        batch, time, size = xs.shape
        if size != self.native.input_size:
            raise ValueError(f"`xs` must be [..., {self.native.input_size}], but is [..., {size}]")
        past = self.initial_state(batch) if state is None else self._each_checked(state, batch)
        if time == 0 or batch == 0 or (lengths is not None and not bool(lengths.any())):
            return xs.new_zeros(batch, time, self.output_size), past
        found = self.route and self.route.read(self, self.loop, xs, past, lengths)
        if found:
            return found
        if lengths is None:
            return self._read(xs, past)
        if xs.device.type == "cpu":
            return read_in_segments(self._read, xs, past, lengths)
        return self._read_packed(xs, past, lengths)

    def _read(self, xs: Tensor, past: State) -> Step:
        """Rows that are all as long as `xs`."""
        outputs, last = self.kernel.read(xs, _stacked(past), *self._settings(), True)
        return outputs, self._by_layer(last)

    def _read_packed(self, xs: Tensor, past: State, lengths: Tensor) -> Step:
        """Rows of different length, in one call of the kernel."""
        # A packed sequence has no empty rows: read one input there, then undo it.
        some = (lengths > 0).to(xs.device, non_blocking=True)
        # The kernel wants rows sorted by length. Torch would sort them too, and wait for the GPU.
        counts, order = lengths.cpu().clamp(min=1).sort(descending=True, stable=True)
        order = order.to(xs.device, non_blocking=True)
        xs, first = reorder((xs, past), order)
        data, sizes, *_ = pack_padded_sequence(xs, counts, batch_first=True)
        read, last = self.kernel.read(data, sizes, _stacked(first), *self._settings())
        packed = PackedSequence(read, sizes)
        outputs, _ = pad_packed_sequence(packed, batch_first=True, total_length=xs.shape[1])
        outputs, last = reorder((outputs, self._by_layer(last)), order.argsort())
        return outputs.masked_fill(~some.view(-1, 1, 1), 0), select(some, last, past)

    def _settings(self) -> tuple[list[Tensor], bool, int, float, bool, bool]:
        """Weights, has biases, layers, dropout, training, reads in both directions."""
        weights: list[Tensor] = [each for layer in self.native.all_weights for each in layer]
        return weights, True, self.layers, self.dropout, self.training, False

    def _each_checked(self, state: State, batch: int) -> tuple[State, ...]:
        """`state`, with its shapes checked: the native code may crash on a wrong one."""
        if not isinstance(state, tuple) or len(state) != self.layers:
            kind = type(self.initial_state(0)[0]).__name__
            raise ValueError(f"`state` must be a tuple of {self.layers} {kind}")
        return tuple(self.kernel.checked(layer, batch, self.output_size) for layer in state)

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


Read = Callable[[Tensor, State], Step]
"""From `xs: [rows, time, input]` and a state to outputs `[rows, time, output]` and the state."""


def read_in_segments(read: Read, xs: Tensor, state: State, lengths: Tensor) -> Step:
    """As `Cell.forward` with `lengths: [batch]`, of which one at least is not 0.

    From each row's end to the next one, all rows that go on are read at once. Lengths of 5, 0, 3
    and 3 take two calls, and no padding is read::

        times 0 1 2    rows 0 2 3
        times 3 4      row 0

    On CPUs torch has a faster LSTM for tensors than for packed sequences. A training step of 128
    rows of 8 to 10 inputs, `[128, 10, 256]` on one core, takes 47 ms packed and 22 ms like this
    (20 ms with all the padding); with lengths from 1 to 10 it is 31 and 25 ms. `gru` and `rnn` have
    one kernel for both, and take as long as packed within a tenth.
    """
    batch, time, _ = xs.shape
    ends, counts = (each.tolist() for each in torch.unique(lengths, return_counts=True))
    order = lengths.argsort(descending=True, stable=True).to(xs.device)
    xs, state = reorder((xs, state), order)
    rows, begin = batch, 0
    outputs, ended = [], []
    for end, count in zip(ends, counts, strict=True):
        if end:
            some, state = read(xs[:rows, begin:end], state)
            outputs.append(pad(some, (0, 0, 0, 0, 0, batch - rows)))
        # The shortest rows stand last, and stay in the state that they have now.
        ended.append(map_state(lambda each, left=rows - count: each[left:], state))
        state = map_state(lambda each, left=rows - count: each[:left], state)
        rows, begin = rows - count, end
    whole = pad(torch.cat(outputs, 1), (0, 0, 0, time - begin))
    last = map_state(lambda *parts: torch.cat(parts), *reversed(ended))
    found: tuple[Tensor, State] = reorder((whole, last), order.argsort())
    return found


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

    network = nn.RNN
    kernel = RNNS["tanh"]

    def __init__(
        self,
        input_size: int,
        hidden_size: Size = 256,
        layers: Few = 1,
        dropout: Share = 0.0,
        nonlinearity: Nonlinearity = "tanh",
        init: Init = "uniform",
    ) -> None:
        super().__init__(input_size, hidden_size, layers, dropout, init)
        self.nonlinearity, self.kernel = nonlinearity, RNNS[nonlinearity]


@cells.register("gru")
class GRU(NativeCell):
    """The gated recurrent unit (Cho et al. 2014), native kernel.

    For one layer, with W and U for weights of inputs and of states, and biases b and d::

        r = sigmoid(W_r x + b_r + U_r h + d_r)      z = sigmoid(W_z x + b_z + U_z h + d_z)
        n = tanh(W_n x + b_n + r * (U_n h + d_n))   h' = (1 - z) * n + z * h

    The gate r is applied after U_n, as in torch's kernel (in the paper before it). The state is
    a tuple with `h: [batch, hidden]` of each layer. `dropout` is between layers; for `init` see
    `init_layer`.
    """

    network = nn.GRU
    kernel = GRUS


@cells.register("lstm")
class LSTM(NativeCell):
    """Long short-term memory (Hochreiter and Schmidhuber 1997, with forget gates), native kernel.

    For one layer, with gates i, f, o and candidate g, all affine in `[x, h]`::

        c' = sigmoid(f) * c + sigmoid(i) * tanh(g)        h' = sigmoid(o) * tanh(c')

    The state is a tuple with an `LSTMState` for each layer. `dropout` is between layers; for
    `init` see `init_layer`.
    """

    network = nn.LSTM
    kernel = LSTMS


class SteppedCell(Cell, ABC):
    """One layer by torch's function for a single step, in a loop over time."""

    network: ClassVar[Callable[..., nn.RNNCellBase]]
    kernel: Kernel

    def __init__(self, input_size: int, hidden_size: Size = 256, init: Init = "uniform") -> None:
        super().__init__()
        self.output_size = hidden_size
        self.native = self.network(input_size, hidden_size)
        init_layer(init, self._weights(), self.kernel)

    def initial_state(self, batch_size: int) -> State:
        return self.kernel.first(self.native.weight_hh.new_zeros(batch_size, self.output_size))

    def step(self, x: Tensor, state: State) -> Step:
        past = self.kernel.checked(state, x.shape[0], self.output_size)
        return self.kernel.step(x, past, self._weights())

    def tabulated(self, inputs: Tensor, rest_size: int = 0) -> Tabulated:
        if inputs.device.type != "cpu":
            return super().tabulated(inputs, rest_size)
        return self.kernel.tabulated(inputs, self._weights())

    def _weights(self) -> tuple[Tensor, ...]:
        native = self.native
        return native.weight_ih, native.weight_hh, native.bias_ih, native.bias_hh


@cells.register("rnn_cell")
class RNNCell(SteppedCell):
    """One layer of `rnn`, computed by `nn.RNNCell` in a loop over time."""

    network = nn.RNNCell
    kernel = RNNS["tanh"]

    def __init__(
        self,
        input_size: int,
        hidden_size: Size = 256,
        nonlinearity: Nonlinearity = "tanh",
        init: Init = "uniform",
    ) -> None:
        super().__init__(input_size, hidden_size, init)
        self.nonlinearity, self.kernel = nonlinearity, RNNS[nonlinearity]


@cells.register("gru_cell")
class GRUCell(SteppedCell):
    """One layer of `gru`, computed by `nn.GRUCell` in a loop over time."""

    network = nn.GRUCell
    kernel = GRUS


@cells.register("lstm_cell")
class LSTMCell(SteppedCell):
    """One layer of `lstm`, computed by `nn.LSTMCell` in a loop over time."""

    network = nn.LSTMCell
    kernel = LSTMS
