"""The cells without a matrix product in their recurrence, which train at all times at once.

A *scan* computes the states of all times and their gradient. The linear one is
h_t = a_t * h_{t-1} + b_t; in an elementwise one each unit of h_t depends on the same unit of
h_{t-1} alone, in any way.

Three ways of training the linear one were measured on CPU cores. Doubling (Hillis and Steele 1986)
needs log2(time) passes over all of memory and took more than twice as long as a plain loop, since a
CPU has no use for so much parallelism. The plain loop spends much of its time on autograd's
records. The loop below has one fused kernel for each time, forward and backward, and no records: a
training step of `min_gru` takes 0.9 of the plain loop's time for `[64, 32, 256]` and 0.55 for
`[16, 64, 128]`. Since it is the recurrence itself, it is also as exact: nothing is divided, no
logarithm is taken, and each rounding error shrinks by a_t in every later step.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from seqgen.cells.base import Cell, ReadAhead, Step, cells, checked_tensor, masked
from seqgen.machine import packed_linear
from seqgen.options import PositiveFloat, Size
from seqgen.state import State


def linear_scan(factors: Tensor, terms: Tensor, first: Tensor) -> Tensor:
    """All h_t of `h_t = factors_t * h_{t-1} + terms_t`, where h before time 0 is `first`.

    `factors` and `terms` are `[batch, time, hidden]`, time at least 1, and `first` is
    `[batch, hidden]`; returns `[batch, time, hidden]`. The gradient is itself a linear recurrence,
    backward in time: with `g_t = dL/dh_t`, taken where h_t is read directly,

        s_t = g_t + factors_{t+1} * s_{t+1}      dL/dterms_t = s_t
        dL/dfactors_t = s_t * h_{t-1}            dL/dfirst = factors_0 * s_0
    """
    dtype = torch.promote_types(torch.promote_types(factors.dtype, terms.dtype), first.dtype)
    apply = cast(Callable[..., Tensor], _LinearScan.apply)
    return apply(factors.to(dtype), terms.to(dtype), first.to(dtype))


def linear_scan_backward(factors: Tensor, gradient: Tensor) -> Tensor:
    """All s_t of `s_t = gradient_t + factors_{t+1} * s_{t+1}`, which ends with the last gradient.

    All are `[batch, time, hidden]` and of one dtype; it cannot be differentiated again.
    """
    sums = torch.empty_like(gradient, memory_format=torch.contiguous_format)
    each, own, a = sums.unbind(1), gradient.unbind(1), factors.unbind(1)
    each[-1].copy_(own[-1])
    for time in range(len(a) - 2, -1, -1):
        torch.addcmul(own[time], a[time + 1], each[time + 1], out=each[time])
    return sums


class _LinearScan(torch.autograd.Function):
    """`linear_scan` for tensors of one dtype."""

    @staticmethod
    def forward(ctx: Any, factors: Tensor, terms: Tensor, first: Tensor) -> Tensor:
        states = torch.empty_like(terms, memory_format=torch.contiguous_format)
        past = first
        for a, b, state in zip(factors.unbind(1), terms.unbind(1), states.unbind(1), strict=True):
            torch.addcmul(b, a, past, out=state)
            past = state
        ctx.save_for_backward(factors, first, states)
        return states

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        factors, first, states = ctx.saved_tensors
        sums = linear_scan_backward(factors, gradient)
        of_factors = torch.empty_like(states)
        torch.mul(sums[:, 1:], states[:, :-1], out=of_factors[:, 1:])
        torch.mul(sums[:, 0], first, out=of_factors[:, 0])
        return of_factors, sums, factors[:, 0] * sums[:, 0]


def elementwise_scan(
    following: Callable[..., Tensor], inputs: Sequence[Tensor], first: Tensor
) -> Tensor:
    """All h_t of `h_t = following(h_{t-1}, *inputs_t)`, where h before time 0 is `first`.

    `inputs` are `[batch, time, ...]`, time at least 1, and `first` is `[batch, hidden]`; returns
    `[batch, time, hidden]`. `following` must work on `[batch, hidden]` as on
    `[batch, time, hidden]`, unit by unit; it may use parameters.

    The states must be found one after the other, but not their gradient. As `dh_t/dh_{t-1}` is a
    vector and not a matrix, with `g_t = dL/dh_t`, taken where h_t is read directly,

        s_t = g_t + dh_{t+1}/dh_t * s_{t+1}

    is a linear recurrence backward in time, a fused kernel for each time. All else, the derivatives
    of the step and the gradients of inputs and parameters, is computed for all times together, by
    autograd from the step itself. Against autograd through the loop, a training step of `sru` takes
    as long for `[64, 32, 256]`, where the arithmetic itself takes the time, and half as long for
    `[16, 64, 128]`, where the number of kernels does.
    """
    with torch.no_grad():
        past, states = first, []
        for each in zip(*(one.unbind(1) for one in inputs), strict=True):
            past = following(past, *each)
            states.append(past)
        found = torch.stack(states, 1)
    if not torch.is_grad_enabled():
        return found
    pasts = torch.cat([first.detach().unsqueeze(1), found[:, :-1]], 1).requires_grad_()
    again = following(pasts, *inputs)
    (derivatives,) = torch.autograd.grad(again.sum(), pasts, retain_graph=True)
    apply = cast(Callable[..., Tensor], _ThroughTime.apply)
    return apply(again, derivatives, first)


class _ThroughTime(torch.autograd.Function):
    """The states as they are; backward, the gradient of each gets what later ones add to it."""

    @staticmethod
    def forward(ctx: Any, states: Tensor, derivatives: Tensor, first: Tensor) -> Tensor:
        ctx.save_for_backward(derivatives)
        return states.view_as(states)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, Tensor]:
        (derivatives,) = ctx.saved_tensors
        sums = linear_scan_backward(derivatives, gradient)
        return sums, None, derivatives[:, 0] * sums[:, 0]


class ScannedCell(Cell, ABC):
    """A cell whose state is one tensor `[batch, hidden]`, as wide as its output."""

    @abstractmethod
    def scan(self, projected: Tensor, first: Tensor) -> tuple[Tensor, Tensor]:
        """All outputs and all states, `[batch, time, hidden]`, from what `project` returned.

        `first` is the state before time 0; there is at least one time.
        """

    def initial_state(self, batch_size: int) -> Tensor:
        return next(self.parameters()).new_zeros(batch_size, self.output_size)

    def reading_ahead(self) -> ReadAhead:
        def read(xs: Tensor, state: State) -> tuple[Tensor, list[State]]:
            outputs, states = self.scan(self.project(xs.unsqueeze(0)), cast(Tensor, state))
            return outputs[0], [*torch.split(states[0], 1)]

        return read

    def forward(self, xs: Tensor, state: State = None, lengths: Tensor | None = None) -> Step:
        batch, time, _ = xs.shape
        first = self.initial_state(batch) if state is None else state
        first = checked_tensor(first, batch, self.output_size)
        if time == 0:
            return xs.new_zeros(batch, 0, self.output_size), first
        outputs, states = self.scan(self.project(xs), first)
        if lengths is None:
            return outputs, states[:, -1]
        lengths = lengths.to(states.device, non_blocking=True)
        last = states[torch.arange(batch, device=states.device), (lengths - 1).clamp(min=0)]
        # A row of length 0 is still in its first state.
        return masked(outputs, lengths), torch.where((lengths > 0).unsqueeze(1), last, first)


class LinearCell(ScannedCell, ABC):
    """A cell with `h' = factor * h + term`, both of which come from the input alone.

    A subclass defines `recurrence`. The state is h, `[batch, hidden]`, which is the output too; all
    else is computed for all times at once from one matrix product, `products` vectors for each.
    """

    def __init__(self, input_size: int, hidden_size: int, products: int) -> None:
        super().__init__()
        self.output_size = hidden_size
        self.of_input = nn.Linear(input_size, products * hidden_size)
        nn.init.zeros_(self.of_input.bias)

    @abstractmethod
    def recurrence(self, projected: Tensor) -> tuple[Tensor, Tensor]:
        """Factor and term `[..., hidden]` from `projected: [..., products * hidden]`."""

    def project(self, xs: Tensor) -> Tensor:
        """`[batch, time, input] -> [batch, time, products * hidden]`."""
        return cast(Tensor, self.of_input(xs))

    def step(self, x: Tensor, state: State) -> Step:
        past = checked_tensor(state, x.shape[0], self.output_size)
        factor, term = self.recurrence(x)
        hidden = factor * past + term
        return hidden, hidden

    def reading_ahead(self) -> ReadAhead:
        project = packed_linear(self.of_input.weight, self.of_input.bias)

        def read(xs: Tensor, state: State) -> tuple[Tensor, list[State]]:
            past, states = cast(Tensor, state), list[State]()
            factors, terms = (torch.split(each, 1) for each in self.recurrence(project(xs)))
            for factor, term in zip(factors, terms, strict=True):
                past = torch.addcmul(term, factor, past)
                states.append(past)
            return torch.cat(cast(list[Tensor], states)), states

        return read

    def scan(self, projected: Tensor, first: Tensor) -> tuple[Tensor, Tensor]:
        hiddens = linear_scan(*self.recurrence(projected), first)
        return hiddens, hiddens


@cells.register("min_gru")
class MinGRU(LinearCell):
    """The minimal gated recurrent unit, "Were RNNs All We Needed?" (Feng et al. 2024, 3.1.3)::

        z = sigmoid(W_z x + b_z)        g = W_g x + b_g        h' = (1 - z) * h + z * g

    The state is h, `[batch, hidden]`. This is the paper's plain version (appendix A). In its
    version in logarithms (appendix B) g is made positive, since h must be; here it need not be.

    The weights begin uniform in +-1/sqrt(input) as in `nn.Linear`, the biases at 0 but -1 for z,
    where another cell's forget gate has 1: the memory lasts from the start.
    """

    def __init__(self, input_size: int, hidden_size: Size = 256) -> None:
        super().__init__(input_size, hidden_size, products=2)
        nn.init.constant_(self.of_input.bias[:hidden_size], -1)

    def recurrence(self, projected: Tensor) -> tuple[Tensor, Tensor]:
        update, candidate = projected.chunk(2, -1)
        return torch.sigmoid(-update), torch.sigmoid(update) * candidate


@cells.register("min_lstm")
class MinLSTM(LinearCell):
    """The minimal LSTM, "Were RNNs All We Needed?" (Feng et al. 2024, 3.2.4)::

        f = sigmoid(W_f x + b_f)      i = sigmoid(W_i x + b_i)      g = W_g x + b_g
        h' = f / (f + i) * h + i / (f + i) * g

    The state is h, `[batch, hidden]`. Dividing by f + i is the paper's scaling that does not depend
    on the length (3.2.3, algorithm 3). The two shares are computed as sigmoid(+-(log f - log i)),
    which divides nothing. As for `min_gru`, this is the plain version, in which g may be negative.

    The weights begin uniform in +-1/sqrt(input) as in `nn.Linear`, the biases at 0 but 1 for f, so
    that the memory lasts from the start.
    """

    def __init__(self, input_size: int, hidden_size: Size = 256) -> None:
        super().__init__(input_size, hidden_size, products=3)
        nn.init.ones_(self.of_input.bias[:hidden_size])

    def recurrence(self, projected: Tensor) -> tuple[Tensor, Tensor]:
        forget, take, candidate = projected.chunk(3, -1)
        advantage = functional.logsigmoid(forget) - functional.logsigmoid(take)
        return torch.sigmoid(advantage), torch.sigmoid(-advantage) * candidate


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

    def project(self, xs: Tensor) -> Tensor:
        """`[batch, time, input] -> [batch, time, 4 * hidden]`: W_f x + b_f, W_r x + b_r, W x, s."""
        products, size = self.input_weight.shape[0], self.output_size
        padded = functional.pad(self.bias, (0, products - 2 * size))
        projected = functional.linear(xs, self.input_weight, padded)
        return torch.cat([projected, 3**0.5 * xs], -1) if self.same_size else projected

    def step(self, x: Tensor, state: State) -> Step:
        past = checked_tensor(state, x.shape[0], self.output_size)
        forget, reset, candidate, highway = x.chunk(4, -1)
        memory = self._memory(past, forget, candidate)
        return self._output(reset, highway, past, memory), memory

    def scan(self, projected: Tensor, first: Tensor) -> tuple[Tensor, Tensor]:
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


@cells.register("indrnn")
class IndRNN(ScannedCell):
    """The independently recurrent network (Li et al. 2018)::

        h' = activation(W x + u * h + b)

    with u a vector, so units meet only in the layers above: this cell is made to be stacked. The
    state is h, `[batch, hidden]`.

    A unit whose |u| is greater than 1 grows without end under `relu`. The paper keeps |u| at most
    2^(1/T) for sequences of T steps, and its authors say that 1 does as well; 1 suits streams. They
    clip u between updates. Here u stays what it is and counts as `bound` at most, so beyond the
    bound it gets no gradient.

    W begins uniform in +-1/sqrt(input) as in `nn.Linear`, b at 0, and u uniform between 0 and the
    lesser of 1 and `bound`, so that units of all spans of memory are there.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: Size = 256,
        activation: Literal["relu", "tanh"] = "relu",
        bound: PositiveFloat = 1.0,
    ) -> None:
        super().__init__()
        self.output_size = hidden_size
        self.activation = activation
        self.bound = bound
        self.of_input = nn.Linear(input_size, hidden_size)
        nn.init.zeros_(self.of_input.bias)
        self.recurrent_weight = nn.Parameter(torch.empty(hidden_size))
        nn.init.uniform_(self.recurrent_weight, 0, min(1, bound))

    def project(self, xs: Tensor) -> Tensor:
        """W x + b: `[batch, time, input] -> [batch, time, hidden]`."""
        return cast(Tensor, self.of_input(xs))

    def step(self, x: Tensor, state: State) -> Step:
        hidden = self._following(checked_tensor(state, x.shape[0], self.output_size), x)
        return hidden, hidden

    def scan(self, projected: Tensor, first: Tensor) -> tuple[Tensor, Tensor]:
        hiddens = elementwise_scan(self._following, (projected,), first)
        return hiddens, hiddens

    def _following(self, past: Tensor, x: Tensor) -> Tensor:
        """h' from h and W x + b, for one time or for all."""
        total = x + self.recurrent_weight.clamp(-self.bound, self.bound) * past
        return torch.relu(total) if self.activation == "relu" else torch.tanh(total)
