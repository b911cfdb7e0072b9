"""The cell `min_lstm`: an LSTM whose gates see the input alone, so that times train at once."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from seqgen.cells.base import cells
from seqgen.cells.linear_cell import LinearCell
from seqgen.options import Size


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
        """f / (f + i) and i / (f + i) * g from `projected: [..., 3 * hidden]`."""
        forget, take, candidate = projected.chunk(3, -1)
        advantage = functional.logsigmoid(forget) - functional.logsigmoid(take)
        return torch.sigmoid(advantage), torch.sigmoid(-advantage) * candidate
