"""The head `linear`: one affine map and a softmax."""

from __future__ import annotations

from torch import Tensor, nn

from seqgen.heads.base import Head, heads
from seqgen.heads.cross_entropy import token_losses


@heads.register("linear")
class LinearHead(Head):
    """`softmax(W h + b)`, with weights of its own."""

    def __init__(self, input_size: int, vocab_size: int, bias: bool = True) -> None:
        super().__init__()
        self.project = nn.Linear(input_size, vocab_size, bias=bias)

    def log_probs(self, hidden: Tensor) -> Tensor:
        """`[..., input] -> [..., vocab]`."""
        logits: Tensor = self.project(hidden)
        return logits.float().log_softmax(-1)

    def loss(self, hidden: Tensor, targets: Tensor) -> Tensor:
        """Nats of each target, `[...]`."""
        logits: Tensor = self.project(hidden)
        return token_losses(logits, targets)
