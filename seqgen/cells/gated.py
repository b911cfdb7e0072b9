"""The cells with gates that torch has no kernel for: variants of the LSTM, and `slstm`.

All gates share one matrix for inputs, applied to all times at once, and one for states. A *gate*
is between 0 and 1 and says how much passes; a *candidate* is what may enter the memory.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Literal, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from seqgen.cells.base import Cell, Step, cells, checked_parts
from seqgen.cells.native import LSTMState
from seqgen.options import Few, Size
from seqgen.state import State


def input_weights(input_size: int, hidden_size: int, heads: int = 1) -> nn.Linear:
    """Weights and biases from the input to four gates, `[..., input] -> [..., 4 * hidden]`, which
    are head by head those of a head.

    The weights are uniform in +-1/sqrt(hidden), as torch's own cells have them. The biases are 0
    but 1 for the second gate, which forgets, so that memory lasts from the start (Jozefowicz et al.
    2015).
    """
    linear = nn.Linear(input_size, 4 * hidden_size)
    nn.init.uniform_(linear.weight, -(hidden_size**-0.5), hidden_size**-0.5)
    nn.init.zeros_(linear.bias)
    nn.init.ones_(linear.bias.view(heads, 4, -1)[:, 1])
    return linear


def recurrent_weights(hidden_size: int, gates: int) -> nn.Parameter:
    """Weights `[hidden, gates * hidden]` from the last state, orthogonal for each gate.

    Orthogonal weights keep the length of what passes through them (Saxe et al. 2014).
    """
    weights = torch.empty(hidden_size, gates * hidden_size)
    for gate in weights.chunk(gates, 1):
        nn.init.orthogonal_(gate)
    return nn.Parameter(weights)


class LSTMVariant(Cell, ABC):
    """A cell with the state of an LSTM, whose output is the hidden part of it."""

    recurrent_weight: nn.Parameter

    @abstractmethod
    def update(self, x: Tensor, hidden: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
        """h' and c', `[batch, hidden]` each, from a slice of what `project` returned."""

    def initial_state(self, batch_size: int) -> LSTMState:
        zeros = self.recurrent_weight.new_zeros(batch_size, self.output_size)
        return LSTMState(zeros, zeros)

    def step(self, x: Tensor, state: State) -> Step:
        past = checked_parts(state, LSTMState._fields, x.shape[0], self.output_size)
        hidden, memory = self.update(x, *past)
        return hidden, LSTMState(hidden, memory)


@cells.register("layer_norm_lstm")
class LayerNormLSTM(LSTMVariant):
    """Long short-term memory with layer normalisation (Ba et al. 2016, equations 20 to 22)::

        i, f, o, g = split(LN(R h) + LN(W x) + b)
        c' = sigmoid(f) * c + sigmoid(i) * tanh(g)      h' = sigmoid(o) * tanh(LN(c'))

    LN subtracts the mean and divides by the deviation of a vector, here of all four gates together,
    and multiplies by a gain; that of c' also adds a bias. The paper gives the other two a bias,
    too, which is left out, since it would do nothing that b does not.

    The weights W begin uniform in +-1/sqrt(hidden) and R orthogonal for each gate, though their
    size hardly matters; the gains begin at 1, the biases at 0 but 1 for f.
    """

    def __init__(self, input_size: int, hidden_size: Size = 256) -> None:
        super().__init__()
        self.output_size = hidden_size
        linear = input_weights(input_size, hidden_size)
        self.input_weight = linear.weight
        self.bias = linear.bias
        self.recurrent_weight = recurrent_weights(hidden_size, gates=4)
        self.input_gain = nn.Parameter(torch.ones(4 * hidden_size))
        self.hidden_gain = nn.Parameter(torch.ones(4 * hidden_size))
        self.memory_norm = nn.LayerNorm(hidden_size)

    def project(self, xs: Tensor) -> Tensor:
        """LN(W x) + b: `[batch, time, input] -> [batch, time, 4 * hidden]`, gates i, f, o, g."""
        sums = functional.linear(xs, self.input_weight)
        return functional.layer_norm(sums, sums.shape[-1:], self.input_gain, self.bias)

    def update(self, x: Tensor, hidden: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
        size = self.output_size
        sums = hidden @ self.recurrent_weight
        sums = x + functional.layer_norm(sums, sums.shape[-1:], self.hidden_gain)
        gates, candidate = sums.split_with_sizes([3 * size, size], 1)
        i, f, o = torch.sigmoid(gates).chunk(3, 1)
        memory = f * memory + i * torch.tanh(candidate)
        return o * torch.tanh(self.memory_norm(memory)), memory


@cells.register("multiplicative_lstm")
class MultiplicativeLSTM(LSTMVariant):
    """Multiplicative long short-term memory (Krause et al. 2016, equations 18 to 22)::

        m = (W_m x) * (R_m h)
        i, f, o, g = split(W x + R m + b)
        c' = sigmoid(f) * c + sigmoid(i) * tanh(g)      h' = sigmoid(o) * tanh(c')

    The intermediate state m stands wherever an LSTM has h: in the three gates and in the candidate
    g. Since x decides what of R_m h gets through, each symbol has its own transition.

    The last line is that of an LSTM, with tanh on g and on c', as in Radford et al. (2017). That of
    Krause et al. is another one: no tanh on g, and h' = tanh(sigmoid(o) * c') (equation 16). It is
    not here. Their gates have no b.

    The weights W begin uniform in +-1/sqrt(hidden), W_m in +-sqrt(3/input), so that m is as large
    as R_m h where x has elements of variance 1; R is orthogonal for each gate, and the biases are 0
    but 1 for f.
    """

    def __init__(self, input_size: int, hidden_size: Size = 256) -> None:
        super().__init__()
        self.output_size = hidden_size
        linear = input_weights(input_size, hidden_size)
        bound = (3 / input_size) ** 0.5
        factors = torch.empty(hidden_size, input_size).uniform_(-bound, bound)
        # W_m above W: one matrix product for both.
        self.input_weight = nn.Parameter(torch.cat([factors, linear.weight.detach()]))
        self.bias = linear.bias
        self.recurrent_factors = recurrent_weights(hidden_size, gates=1)
        self.recurrent_weight = recurrent_weights(hidden_size, gates=4)

    def project(self, xs: Tensor) -> Tensor:
        """W_m x, then W x + b of i, f, o and g: `[batch, time, input] -> [.., .., 5 * hidden]`."""
        bias = functional.pad(self.bias, (self.output_size, 0))
        return functional.linear(xs, self.input_weight, bias)

    def update(self, x: Tensor, hidden: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
        size = self.output_size
        factor, rest = x.split_with_sizes([size, 4 * size], 1)
        sums = torch.addmm(rest, factor * (hidden @ self.recurrent_factors), self.recurrent_weight)
        gates, candidate = sums.split_with_sizes([3 * size, size], 1)
        i, f, o = torch.sigmoid(gates).chunk(3, 1)
        memory = f * memory + i * torch.tanh(candidate)
        return o * torch.tanh(memory), memory


@cells.register("peephole_lstm")
class PeepholeLSTM(LSTMVariant):
    """Long short-term memory with peepholes (Gers and Schmidhuber 2000)::

        i = sigmoid(W_i x + R_i h + p_i * c + b_i)      f = sigmoid(W_f x + R_f h + p_f * c + b_f)
        g = tanh(W_g x + R_g h + b_g)                   c' = f * c + i * g
        o = sigmoid(W_o x + R_o h + p_o * c' + b_o)     h' = o * tanh(c')

    Peepholes let the gates count: h is near 0 where o is shut, but c can always be seen. The
    gates of a unit see its own memory only, i and f as it was and o as it is now. In the paper h'
    is o * c' without tanh; tanh is what later descriptions have (Graves 2013; Sak et al. 2014;
    Greff et al. 2017).

    The weights W and p begin uniform in +-1/sqrt(hidden), R orthogonal for each gate, the biases at
    0 but 1 for f.
    """

    def __init__(self, input_size: int, hidden_size: Size = 256) -> None:
        super().__init__()
        self.output_size = hidden_size
        self.of_input = input_weights(input_size, hidden_size)
        self.recurrent_weight = recurrent_weights(hidden_size, gates=4)
        self.peepholes = nn.Parameter(torch.empty(3, hidden_size))  # of i, f and o
        nn.init.uniform_(self.peepholes, -(hidden_size**-0.5), hidden_size**-0.5)

    def project(self, xs: Tensor) -> Tensor:
        """W x + b of i, f, o and g: `[batch, time, input] -> [batch, time, 4 * hidden]`."""
        return cast(Tensor, self.of_input(xs))

    def update(self, x: Tensor, hidden: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
        size = self.output_size
        sums = torch.addmm(x, hidden, self.recurrent_weight)
        early, late, candidate = sums.split_with_sizes([2 * size, size, size], 1)
        seen = self.peepholes[:2] * memory.unsqueeze(1)  # [batch, 2, hidden]
        i, f = torch.sigmoid(early.view(-1, 2, size) + seen).unbind(1)
        memory = f * memory + i * torch.tanh(candidate)
        o = torch.sigmoid(late + self.peepholes[2] * memory)
        return o * torch.tanh(memory), memory


NOTHING = -1e30
"""The first stabiliser: so far below every gate that nothing of before the first step counts."""


class SLSTMState(NamedTuple):
    """Four tensors `[batch, hidden]`; `memory / normaliser` is a mean of what was read."""

    hidden: Tensor
    memory: Tensor
    normaliser: Tensor
    stabiliser: Tensor


@cells.register("slstm")
class SLSTM(Cell):
    """The scalar long short-term memory of xLSTM (Beck et al. 2024, equations 8 to 17)::

        i, f, z, o = W x + R h + b
        m' = max(log forget(f) + m, i)                    forget is sigmoid or exp: `forget_gate`
        i' = exp(i - m')      f' = exp(log forget(f) + m - m')
        c' = f' * c + i' * tanh(z)      n' = f' * n + i'      h' = sigmoid(o) * c' / n'

    c and n are kept divided by exp(m), which cancels in h, so exponential gates cannot overflow.
    The first m is -1e30, so that m' is i in the first step and i' is 1. As in every step i' or f'
    is 1, n' is at least 1 from then on: the quotient is safe, and a mean of what tanh(z) was.

    With `heads`, R has a block for each head: units meet those of their own head only. What xLSTM
    builds around this cell (a convolution before i and f, a normalisation of each head's h') is not
    part of it.

    The weights W begin uniform in +-1/sqrt(hidden), R orthogonal for each gate and head, the biases
    at 0 but 1 for f.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: Size = 256,
        heads: Few = 1,
        forget_gate: Literal["sigmoid", "exponential"] = "sigmoid",
    ) -> None:
        super().__init__()
        if hidden_size % heads:
            raise ValueError(f"`heads` must divide `hidden_size` ({hidden_size}), but is {heads}")
        self.output_size = hidden_size
        self.heads = heads
        self.forget_gate = forget_gate
        size = hidden_size // heads
        # Head by head, each with its gates i, f, z and o.
        self.of_input = input_weights(input_size, hidden_size, heads)
        self.recurrent_weight = nn.Parameter(torch.empty(heads, size, 4 * size))
        for block in self.recurrent_weight.detach():
            for gate in block.chunk(4, 1):
                nn.init.orthogonal_(gate)

    def initial_state(self, batch_size: int) -> SLSTMState:
        zeros = self.recurrent_weight.new_zeros(batch_size, self.output_size)
        return SLSTMState(zeros, zeros, zeros, torch.full_like(zeros, NOTHING))

    def summary(self, state: State) -> Tensor:
        """The hidden state and what the memory is a mean of; the scale means nothing to others."""
        hidden, memory, normaliser, _ = cast(SLSTMState, state)
        return torch.cat([hidden, memory / normaliser.clamp(min=1.0)], 1)

    def state_from(self, summary: Tensor) -> SLSTMState:
        """The state whose memory is a mean as given, as if one step of scale 1 had made it."""
        like = self.initial_state(summary.shape[0])
        hidden, memory = summary.to(like.hidden.dtype).chunk(2, 1)
        return SLSTMState(hidden, memory, torch.ones_like(memory), torch.zeros_like(memory))

    def project(self, xs: Tensor) -> Tensor:
        """W x + b: `[batch, time, input] -> [batch, time, heads * 4 * head]`."""
        return cast(Tensor, self.of_input(xs))

    def step(self, x: Tensor, state: State) -> Step:
        batch, size = x.shape[0], self.output_size
        hidden, memory, normaliser, past = checked_parts(state, SLSTMState._fields, batch, size)
        i, f, z, o = self._gates(x, hidden)
        if self.forget_gate == "sigmoid":
            f = functional.logsigmoid(f)
        kept = f + past
        stabiliser = torch.maximum(kept, i)
        take, keep = torch.exp(i - stabiliser), torch.exp(kept - stabiliser)
        memory = keep * memory + take * torch.tanh(z)
        normaliser = keep * normaliser + take
        hidden = torch.sigmoid(o) * memory / normaliser
        return hidden, SLSTMState(hidden, memory, normaliser, stabiliser)

    def _gates(self, x: Tensor, hidden: Tensor) -> tuple[Tensor, ...]:
        """W x + R h + b of the four gates, `[batch, hidden]` each."""
        size = self.output_size
        if self.heads == 1:
            return torch.addmm(x, hidden, self.recurrent_weight[0]).chunk(4, 1)
        # A product for each head: [heads, batch, head] with [heads, head, 4 * head].
        by_head = hidden.reshape(-1, self.heads, size // self.heads).transpose(0, 1)
        inputs = x.reshape(-1, self.heads, 4 * size // self.heads).transpose(0, 1)
        sums = torch.baddbmm(inputs, by_head, self.recurrent_weight).transpose(0, 1)
        gates = sums.reshape(-1, self.heads, 4, size // self.heads).transpose(1, 2)
        return gates.reshape(-1, 4, size).unbind(1)
