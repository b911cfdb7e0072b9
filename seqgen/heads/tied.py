"""The head `tied`: the embedding's vectors serve as output weights too."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn
from torch.nn import functional

from seqgen.heads.base import Head, heads
from seqgen.heads.chunks import float32_at_least
from seqgen.heads.cross_entropy import linear_token_losses
from seqgen.heads.unigrams import unigram_log_probs
from seqgen.options import Share
from seqgen.tokenizers.facts import Facts


@heads.register("tied")
class TiedHead(Head):
    """`softmax(E P h + b)` with E the embedding (Press and Wolf 2017; Inan et al. 2017).

    P is a linear map where the sizes of hidden and embedding differ, else it is left out.
    `label_smoothing` and `unigram_bias` are those of `linear`.
    """

    def __init__(
        self,
        input_size: int,
        vocab_size: int,
        table: Callable[[], Tensor],
        label_smoothing: Share = 0.0,
        unigram_bias: bool = False,
    ) -> None:
        super().__init__()
        embedding_size = table().shape[1]
        # The embedding is asked at each call: its vectors may be computed, and they may move.
        self.table = table
        self.bias = nn.Parameter(table().detach().new_zeros(vocab_size))
        same = input_size == embedding_size
        self.project = nn.Identity() if same else nn.Linear(input_size, embedding_size, bias=False)
        self.label_smoothing = label_smoothing
        self.unigram_bias = unigram_bias

    def initialise(self, facts: Facts) -> None:
        """The bias from the counts, where that is wanted."""
        if self.unigram_bias:
            self.bias.data.copy_(unigram_log_probs(facts))

    def log_probs(self, hidden: Tensor) -> Tensor:
        """`[..., input] -> [..., vocab]`."""
        logits = functional.linear(self.project(hidden), self.table(), self.bias)
        return float32_at_least(logits).log_softmax(-1)

    def loss(self, hidden: Tensor, targets: Tensor) -> Tensor:
        """Nats of each target, `[...]`; smoothed in training."""
        smoothing = self.label_smoothing if self.training else 0.0
        layer = (self.table(), self.bias)
        return linear_token_losses(self.project(hidden), layer, targets, smoothing)
