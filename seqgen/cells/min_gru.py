"""The cell `min_gru`: a gated unit whose gates see the input alone, so that times train at once."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from seqgen.cells.base import cells
from seqgen.cells.linear_cell import LinearCell
from seqgen.options import Size


@cells.register("min_gru")
class MinGRU(LinearCell):
    """The minimal gated recurrent unit, "Were RNNs All We Needed?" (Feng et al. 2024, 3.1.3)::

        z = sigmoid(W_z x + b_z)        g = W_g x + b_g        h' = (1 - z) * h + z * g

    The state is h, `[batch, hidden]`. This is the paper's plain version (appendix A). In its
    version in logarithms (appendix B) g is made positive, since h must be; here it need not be.

    The weights begin uniform in +-1/sqrt(input) as in `nn.Linear`, the biases at 0 but -1 for z,
    which stands where another cell's forget gate has 1: the memory lasts from the start.
    """

    def __init__(self, input_size: int, hidden_size: Size = 256) -> None:
        super().__init__(input_size, hidden_size, products=2)
        nn.init.constant_(self.of_input.bias[:hidden_size], -1)

    def recurrence(self, projected: Tensor) -> tuple[Tensor, Tensor]:
        """1 - z and z * g from `projected: [..., 2 * hidden]`."""
        update, candidate = projected.chunk(2, -1)
        return torch.sigmoid(-update), torch.sigmoid(update) * candidate
