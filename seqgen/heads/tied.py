"""The head `tied`: the embedding's vectors serve as output weights too."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn
from torch.nn import functional

from seqgen.heads.base import Head, heads
from seqgen.heads.cross_entropy import token_losses


@heads.register("tied")
class TiedHead(Head):
    """`softmax(E P h + b)` with E the embedding (Press and Wolf 2017; Inan et al. 2017).

    P is a linear map where the sizes of hidden and embedding differ, else it is left out.
    """

    def __init__(self, input_size: int, vocab_size: int, table: Callable[[], Tensor]) -> None:
        super().__init__()
        embedding_size = table().shape[1]
        # The embedding is asked at each call: its vectors may be computed, and they may move.
        self.table = table
        self.bias = nn.Parameter(table().detach().new_zeros(vocab_size))
        same = input_size == embedding_size
        self.project = nn.Identity() if same else nn.Linear(input_size, embedding_size, bias=False)

    def log_probs(self, hidden: Tensor) -> Tensor:
        """`[..., input] -> [..., vocab]`."""
        return self._logits(hidden).float().log_softmax(-1)

    def loss(self, hidden: Tensor, targets: Tensor) -> Tensor:
        """Nats of each target, `[...]`."""
        return token_losses(self._logits(hidden), targets)

    def _logits(self, hidden: Tensor) -> Tensor:
        return functional.linear(self.project(hidden), self.table(), self.bias)
