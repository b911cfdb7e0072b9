"""The cell `sru`: a recurrent unit without a matrix product in its recurrence."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from seqgen.cells.base import cells
from seqgen.cells.elementwise_scan import elementwise_scan
from seqgen.cells.scanned import ScannedCell
from seqgen.cells.state_shape import checked_tensor
from seqgen.options import Size
from seqgen.state import State


@cells.register("sru")
class SRU(ScannedCell):
    """The simple recurrent unit (Lei et al. 2018)::

        f = sigmoid(W_f x + v_f * c + b_f)      c' = f * c + (1 - f) * W x
        r = sigmoid(W_r x + v_r * c + b_r)      h' = r * c' + (1 - r) * s

    v_f and v_r are vectors. The highway s is sqrt(3) * x where the input is as wide as the cell,
    else W_s x. The state is c, `[batch, hidden]`; only f and c' need a loop over time, and
    `forward` computes the rest for all times at once.

    As in the paper, all W begin uniform with variance 1/input, and sqrt(3) is its scaling
    correction alpha = sqrt(1 + 2 exp(b_r)) for b_r = 0, which keeps the variance of the output near
    that of the input. v begins uniform in +-1/sqrt(hidden), the biases at 0 but 1 for f, so that
    the memory lasts from the start. The authors' code has v with variance 1/2, W_f and W_r with
    half of the variance, W_s with alpha^2 of it, and no bias of 1.
    """

    def __init__(self, input_size: int, hidden_size: Size = 256) -> None:
        super().__init__()
        self.output_size = hidden_size
        self.same_size = input_size == hidden_size
        products = 3 if self.same_size else 4
        bound = (3 / input_size) ** 0.5
        self.input_weight = nn.Parameter(torch.empty(products * hidden_size, input_size))
        nn.init.uniform_(self.input_weight, -bound, bound)
        self.bias = nn.Parameter(torch.zeros(2 * hidden_size))  # of f and r
        nn.init.ones_(self.bias[:hidden_size])
        self.recurrent_weight = nn.Parameter(torch.empty(2, hidden_size))  # of f and r
        nn.init.uniform_(self.recurrent_weight, -(hidden_size**-0.5), hidden_size**-0.5)

    def initial_state(self, batch_size: int) -> Tensor:
        """Zeros, `[batch, hidden]`."""
        return self.input_weight.new_zeros(batch_size, self.output_size)

    def project(self, xs: Tensor) -> Tensor:
        """`[batch, time, input] -> [batch, time, 4 * hidden]`: W_f x + b_f, W_r x + b_r, W x, s."""
        products, size = self.input_weight.shape[0], self.output_size
        padded = functional.pad(self.bias, (0, products - 2 * size))
        projected = functional.linear(xs, self.input_weight, padded)
        return torch.cat([projected, 3**0.5 * xs], -1) if self.same_size else projected

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """`x: [batch, 4 * hidden]` to `[batch, hidden]`."""
        past = checked_tensor(state, x.shape[0], self.output_size)
        forget, reset, candidate, highway = x.chunk(4, -1)
        memory = self._memory(past, forget, candidate)
        return self._output(reset, highway, past, memory), memory

    def scan(self, projected: Tensor, first: Tensor) -> tuple[Tensor, Tensor]:
        """h and c of all times: c by `elementwise_scan` and all else at once."""
        forgets, resets, candidates, highways = projected.chunk(4, -1)
        memories = elementwise_scan(self._memory, (forgets, candidates), first)
        pasts = torch.cat([first.unsqueeze(1), memories[:, :-1]], 1)
        return self._output(resets, highways, pasts, memories), memories

    def _memory(self, past: Tensor, forget: Tensor, candidate: Tensor) -> Tensor:
        """c', as c moved by 1 - f of the way to the candidate."""
        f = torch.sigmoid(forget + self.recurrent_weight[0] * past)
        return candidate + f * (past - candidate)

    def _output(self, reset: Tensor, highway: Tensor, past: Tensor, memory: Tensor) -> Tensor:
        """h', for one time or for all."""
        r = torch.sigmoid(reset + self.recurrent_weight[1] * past)
        return highway + r * (memory - highway)
