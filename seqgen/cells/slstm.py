"""The cell `slstm`: an LSTM with exponential gates and a normaliser, the scalar memory of xLSTM."""

from __future__ import annotations

from typing import Literal, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from seqgen.cells.base import Cell, cells
from seqgen.cells.state_shape import checked_parts
from seqgen.options import Few, Size
from seqgen.state import State

ForgetGate = Literal["sigmoid", "exponential"]

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
        forget_gate: ForgetGate = "sigmoid",
    ) -> None:
        super().__init__()
        if hidden_size % heads:
            raise ValueError(f"`heads` must divide `hidden_size` ({hidden_size}), but is {heads}")
        self.output_size = hidden_size
        self.heads = heads
        self.forget_gate = forget_gate
        size = hidden_size // heads
        # Head by head, each with its gates i, f, z and o.
        self.of_input = nn.Linear(input_size, 4 * hidden_size)
        nn.init.uniform_(self.of_input.weight, -(hidden_size**-0.5), hidden_size**-0.5)
        nn.init.zeros_(self.of_input.bias)
        nn.init.ones_(self.of_input.bias.view(heads, 4, size)[:, 1])
        self.recurrent_weight = nn.Parameter(torch.empty(heads, size, 4 * size))
        for block in self.recurrent_weight.detach():
            for gate in block.chunk(4, 1):
                nn.init.orthogonal_(gate)

    def initial_state(self, batch_size: int) -> SLSTMState:
        """Zeros, and NOTHING for the stabiliser; `[batch, hidden]` each."""
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
        projected: Tensor = self.of_input(xs)
        return projected

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """`x: [batch, heads * 4 * head]` to `[batch, hidden]`."""
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
        batch, size = hidden.shape
        if self.heads == 1:
            return torch.addmm(x, hidden, self.recurrent_weight[0]).chunk(4, 1)
        # A product for each head: [heads, batch, head] with [heads, head, 4 * head].
        by_head = hidden.reshape(batch, self.heads, size // self.heads).transpose(0, 1)
        inputs = x.reshape(batch, self.heads, 4 * size // self.heads).transpose(0, 1)
        sums = torch.baddbmm(inputs, by_head, self.recurrent_weight).transpose(0, 1)
        gates = sums.reshape(batch, self.heads, 4, size // self.heads).transpose(1, 2)
        return gates.reshape(batch, 4, size).unbind(1)
