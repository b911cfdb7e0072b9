"""A recurrence in which each unit sees only itself, over all times, with a gradient at once.

The states must be found one after the other, but not their gradient. As unit k of h_t depends on
unit k of h_{t-1} alone, `dh_t/dh_{t-1}` is a vector and not a matrix, so that

    s_t = g_t + dh_{t+1}/dh_t * s_{t+1}

(with g_t = dL/dh_t where h_t is read directly) is a linear recurrence backward in time, a fused
kernel for each time. All else, the derivatives of the step and what comes of them for inputs and
parameters, is computed for all times together, by autograd from the step itself. Against autograd
through the loop, a training step of `sru` takes as long for `[64, 32, 256]`, where the arithmetic
itself takes the time, and half as long for `[16, 64, 128]`, where the number of kernels does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from seqgen.cells.linear_scan import linear_scan_backward


def elementwise_scan(
    following: Callable[..., Tensor], inputs: Sequence[Tensor], first: Tensor
) -> Tensor:
    """All h_t of `h_t = following(h_{t-1}, *inputs_t)`, where h before time 0 is `first`.

    `inputs` are `[batch, time, ...]`, time at least 1, and `first` is `[batch, hidden]`; returns
    `[batch, time, hidden]`. `following` must work on `[batch, hidden]` as on
    `[batch, time, hidden]`, unit by unit; it may use parameters.
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
