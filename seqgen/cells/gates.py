"""The first weights of cells with gates: one matrix for all gates, from inputs and from states."""

from __future__ import annotations

import torch
from torch import nn


def input_weights(input_size: int, hidden_size: int, gates: int, forget: int) -> nn.Linear:
    """Weights and biases from the input to `gates` gates, `[..., input] -> [..., gates * hidden]`.

    The weights are uniform in +-1/sqrt(hidden), as torch's own cells have them. The biases are 0
    but 1 for gate number `forget`, so that memory lasts from the start (Jozefowicz et al. 2015).
    """
    linear = nn.Linear(input_size, gates * hidden_size)
    nn.init.uniform_(linear.weight, -(hidden_size**-0.5), hidden_size**-0.5)
    nn.init.zeros_(linear.bias)
    nn.init.ones_(linear.bias.view(gates, hidden_size)[forget])
    return linear


def recurrent_weights(hidden_size: int, gates: int) -> nn.Parameter:
    """Weights `[hidden, gates * hidden]` from the last state, orthogonal for each gate.

    Orthogonal weights keep the length of what passes through them (Saxe et al. 2014).
    """
    weights = torch.empty(hidden_size, gates * hidden_size)
    for gate in weights.chunk(gates, 1):
        nn.init.orthogonal_(gate)
    return nn.Parameter(weights)
